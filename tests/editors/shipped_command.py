"""The `remanence` command, as a person runs it."""

from __future__ import annotations

import subprocess
import sys

from remanence.paths import Home


def remanence(home: Home, *arguments: str) -> str:
    """Run the shipped command on a home; its standard output."""
    command = [sys.executable, "-m", "remanence", "--home", str(home.root), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout
