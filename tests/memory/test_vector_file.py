"""Rows of a growing file: what is read is what was written, in whatever pieces and from wherever it comes."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from remanence.memory import vector_file
from remanence.memory.index_files import IndexReadError
from remanence.memory.vector_file import RowFile

ROWS = 400


@pytest.fixture
def file(tmp_path: Path) -> RowFile:
    """Rows of four bytes: their numbers."""
    (tmp_path / "rows").touch()
    rows = RowFile(tmp_path / "rows", 4)
    rows.write_bytes(0, np.arange(ROWS, dtype=np.int32).tobytes())
    return rows


def read(file: RowFile, spans: list[tuple[int, int]]) -> list[int]:
    firsts, counts = np.array(spans, dtype=np.int64).reshape(-1, 2).T
    return np.frombuffer(file.read_bytes(firsts, counts), dtype=np.int32).tolist()


@pytest.mark.parametrize("from_disk_seconds", [0.0, 3600.0])
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(spans=st.lists(st.tuples(st.integers(0, ROWS - 9), st.integers(0, 9)), max_size=60))
def test_spans_are_read_in_the_order_given(
    file: RowFile, from_disk_seconds: float, spans: list[tuple[int, int]]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(vector_file, "_FROM_DISK_SECONDS", from_disk_seconds)
        assert read(file, spans) == [row for first, count in spans for row in range(first, first + count)]


@pytest.mark.skipif(not hasattr(os, "posix_fadvise"), reason="this system cannot be told")
def test_the_system_is_told_once_what_will_be_read_and_only_where_it_comes_from_the_disk(
    file: RowFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[int, int]] = []
    advise = os.posix_fadvise

    def note(handle: int, offset: int, size: int, advice: int) -> None:
        told.append((offset // 4, size // 4))
        advise(handle, offset, size, advice)

    monkeypatch.setattr(os, "posix_fadvise", note)
    spans = [(3 * n, 2) for n in range(50)]
    monkeypatch.setattr(vector_file, "_FROM_DISK_SECONDS", 3600.0)
    read(file, spans)
    assert told == []
    monkeypatch.setattr(vector_file, "_FROM_DISK_SECONDS", 0.0)
    read(file, spans)
    assert told == spans[16:]


def test_a_file_that_ends_too_early_is_an_error_in_words(file: RowFile) -> None:
    with pytest.raises(IndexReadError, match="ends too early"):
        read(file, [(0, 2), (5000, 3)])
