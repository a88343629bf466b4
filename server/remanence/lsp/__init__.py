"""The language server: one file per LSP method, talking to the engine through its client only."""
