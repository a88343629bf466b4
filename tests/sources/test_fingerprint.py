from __future__ import annotations

import os
from pathlib import Path

from remanence.sources.fingerprint import fingerprint


def test_a_fingerprint_changes_with_size_time_or_head_and_with_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"a" * 10)
    os.utime(path, ns=(1, 10**18))
    first = fingerprint(path)
    assert first == fingerprint(path)

    path.write_bytes(b"b" * 10)
    os.utime(path, ns=(1, 10**18))
    other_head = fingerprint(path)
    os.utime(path, ns=(1, 10**18 + 1))
    other_time = fingerprint(path)
    path.write_bytes(b"b" * 11)
    os.utime(path, ns=(1, 10**18 + 1))

    assert len({first, other_head, other_time, fingerprint(path)}) == 4


def test_a_file_that_is_gone_has_none(tmp_path: Path) -> None:
    assert fingerprint(tmp_path / "gone") == ""
