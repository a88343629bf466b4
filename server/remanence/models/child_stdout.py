"""A child process's standard output, kept for its protocol alone."""

from __future__ import annotations

import os
import sys
from typing import BinaryIO


def claim_stdout() -> BinaryIO:
    """The process's standard output, for the caller alone.

    From then on whatever a library prints, from Python or from C, goes to standard error.
    """
    sys.stdout.flush()
    protocol = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return protocol
