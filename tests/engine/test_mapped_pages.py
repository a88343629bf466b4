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
    pages = MappedPages(lambda: calls.append(1))
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
    called = threading.Event()
    pages = MappedPages(called.set)
    pages.start()
    assert not called.wait(0.05)  # nobody searched
    pages.searched()
    assert called.wait(20)
    pages.close()


def test_the_code_comes_back_by_itself() -> None:
    trim()
    before = resident()[1]
    give_back_code()
    assert 0 < resident()[1] < before
    matrix = np.arange(64, dtype=np.float64).reshape(8, 8)
    assert np.allclose(matrix @ np.eye(8), matrix)
