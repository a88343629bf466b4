"""Background work steps aside while somebody waits, and goes on when nobody does or it takes too long."""

from __future__ import annotations

import threading

import pytest

from remanence.engine import foreground
from remanence.engine.foreground import step_aside, waited_for


def test_background_work_goes_on_when_the_last_one_who_waits_has_got_an_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(foreground, "_MOST_SECONDS", 60)
    went_on = threading.Event()

    def background() -> None:
        step_aside()
        went_on.set()

    working = threading.Thread(target=background)
    with waited_for():
        with waited_for():
            working.start()
            assert not went_on.wait(0.05)
        assert not went_on.wait(0.05)  # one still waits
    assert went_on.wait(20)
    working.join()
    step_aside()  # nobody waits: at once


def test_it_goes_on_though_the_answer_never_comes_and_after_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def search() -> None:
        with waited_for():
            step_aside()
            raise ValueError("the search")

    with pytest.raises(ValueError, match="the search"):
        search()
    monkeypatch.setattr(foreground, "_MOST_SECONDS", 3600)
    step_aside()
