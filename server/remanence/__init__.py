"""Remanence: a language server that gives coding assistants a local, private, long-term memory."""

import os

__version__ = "0.1.0"

# onnxruntime reports to Microsoft by default, also on Linux and macOS since 2026, and writes a device id
# under ~/.cache. Its full opt-out is read once, when it is first imported, so it is set before anything is.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
