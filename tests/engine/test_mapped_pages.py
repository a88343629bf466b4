"""Memory given back: once searches have touched much, not while there is room, and no code is lost by it."""

from __future__ import annotations

import sys
import threading

import numpy as np
import pytest

from remanence.engine import mapped_pages
from remanence.engine.mapped_pages import MappedPages, give_back_code, resident, trim

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only there is memory given back")


def test_searches_that_leave_room_enough_cost_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mapped_pages, "_MUCH", 2 * resident()[0])
    calls: list[int] = []
    pages = MappedPages(lambda: calls.append(1), lambda: calls.append(0))
    pages.start()
    pages.searched()
    pages.close()
    assert calls == []
    assert pages.rest()
    assert not pages.rest()
    assert calls == [1]


def test_pages_are_given_back_when_searches_have_touched_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mapped_pages, "_MUCH", 0)
    monkeypatch.setattr(mapped_pages, "_GROWTH", 0)
    monkeypatch.setattr(mapped_pages, "_SHARE", sys.maxsize)
    called, most = threading.Event(), threading.Event()
    pages = MappedPages(called.set, most.set)
    pages.start()
    assert not most.wait(0.05)  # nobody searched
    pages.searched()
    assert called.wait(20)  # what the other gave back was not enough: it gave back nothing
    assert most.is_set()
    pages.close()


def test_what_takes_longer_is_done_only_where_the_rest_leaves_much(monkeypatch: pytest.MonkeyPatch) -> None:
    touched = [100 * 2**20]
    monkeypatch.setattr(mapped_pages, "resident", lambda: (2**30, touched[0]))
    all_given, most_given = threading.Event(), threading.Event()

    def give_back_most() -> None:
        touched[0] = 10 * 2**20
        most_given.set()

    pages = MappedPages(all_given.set, give_back_most)
    pages.start()
    pages.searched()
    assert most_given.wait(20)
    pages.close()  # waits for the thread
    assert not all_given.is_set()


def test_the_code_comes_back_by_itself() -> None:
    trim()
    before = resident()[1]
    give_back_code()
    assert 0 < resident()[1] < before
    matrix = np.arange(64, dtype=np.float64).reshape(8, 8)
    assert np.allclose(matrix @ np.eye(8), matrix)
