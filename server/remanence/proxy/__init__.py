"""The endpoint that OpenAI and Ollama clients can be pointed at: their own upstream, which now remembers."""
