"""Learning from memory: datasets, adapters trained on them, and what proves that they help."""
