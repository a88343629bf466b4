"""Remanence: a language server that gives coding assistants a local, private, long-term memory."""

__version__ = "0.1.0"
