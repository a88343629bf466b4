"""A disk that is soon full: a small tmpfs, mounted for one test."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def mounted(folder: Path, options: str) -> Iterator[Path]:
    """A folder inside this one, on a tmpfs mounted with these options. Skips where nobody may mount one."""
    place = folder / "small"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("mounting a small tmpfs needs rights that this user has not")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)
