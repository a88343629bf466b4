"""Models and the worker processes that load them."""
