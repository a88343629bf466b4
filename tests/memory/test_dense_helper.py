"""Two threads that look through the chunks of one dense index, each taking what the other has not."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from dense_samples import chunks_of, clustered, found, opened

from remanence.memory import dense_search
from remanence.memory.dense import Cancelled, DenseIndex
from remanence.memory.dense_codes import Codes

_ROWS = 3000


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[DenseIndex]:
    """A dozen chunks, which a helper is asked to share."""
    monkeypatch.setattr(dense_search, "_HELPED_FROM", 0)
    with chunks_of(256):
        index = opened(tmp_path)
        index.add(np.arange(_ROWS), clustered(_ROWS))
        yield index


def test_both_threads_take_chunks_and_together_find_what_one_finds(
    index: DenseIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    queries = clustered(20, seed=1)
    with monkeypatch.context() as patch:
        patch.setattr(dense_search, "_HELPED_FROM", _ROWS + 1)
        alone = [found(index, query, 30) for query in queries]
    threads: set[int] = set()
    both_began = threading.Event()
    nearest = Codes.nearest

    def noted(codes: Codes, turned: np.ndarray, wanted: int) -> tuple[np.ndarray, np.ndarray]:
        threads.add(threading.get_ident())
        if len(threads) == 2:
            both_began.set()
        assert both_began.wait(30)
        return nearest(codes, turned, wanted)

    monkeypatch.setattr(Codes, "nearest", noted)
    assert [found(index, query, 30) for query in queries] == alone


def test_a_helper_that_has_no_time_is_not_waited_for(index: DenseIndex) -> None:
    query = clustered(1, seed=1)[0]
    expected = found(index, query)
    idle = threading.Event()
    busy = dense_search.HELPER.submit(idle.wait, 60)
    try:
        assert found(index, query) == expected
        assert not busy.done()
    finally:
        idle.set()


def test_a_search_that_is_cancelled_under_way_stops(index: DenseIndex) -> None:
    asked: list[int] = []

    def cancelled() -> bool:
        asked.append(1)
        return len(asked) > 3

    with pytest.raises(Cancelled):
        index.search(clustered(1)[0], 1, cancelled=cancelled)
    dense_search.HELPER.submit(int).result()  # until the helper has seen it too
    assert len(asked) <= 6
