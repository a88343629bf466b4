from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest
from generating import never

from remanence.models.turns import Turns
from remanence.models.worker_pipes import GivenUp


class Line:
    """Requests that stand in line one after the other and write down when they are served."""

    def __init__(self) -> None:
        self.turns = Turns()
        self.served: list[str] = []
        self._threads: list[threading.Thread] = []

    def join(self, window: str, name: str, cancelled: Callable[[], bool] = never) -> None:
        before = self._length()

        def wait() -> None:
            try:
                with self.turns.turn(window, cancelled):
                    self.served.append(name)
            except GivenUp:
                self.served.append(f"{name} gave up")

        thread = threading.Thread(target=wait)
        thread.start()
        self._threads.append(thread)
        while self._length() == before and thread.is_alive():
            time.sleep(0.001)

    def all_served(self) -> list[str]:
        for thread in self._threads:
            thread.join(10)
        return self.served

    def _length(self) -> int:
        return sum(len(queue) for queue in self.turns._waiting.values())  # pyright: ignore[reportPrivateUsage]


def test_windows_take_turns_whatever_number_of_requests_each_has():
    line = Line()
    with line.turns.turn("a", never):
        for window, name in (("a", "a1"), ("a", "a2"), ("a", "a3"), ("b", "b1"), ("c", "c1"), ("b", "b2")):
            line.join(window, name)
    assert line.all_served() == ["a1", "b1", "c1", "a2", "b2", "a3"]


def test_one_that_is_cancelled_while_it_waits_leaves_its_place_to_the_others():
    line = Line()
    cancelled = threading.Event()
    with line.turns.turn("a", never):
        line.join("b", "b1", cancelled.is_set)
        line.join("c", "c1")
        cancelled.set()
        while "b1 gave up" not in line.served:
            time.sleep(0.001)
    assert line.all_served() == ["b1 gave up", "c1"]


def test_a_turn_that_ends_with_an_error_is_passed_on():
    turns = Turns()
    with pytest.raises(ValueError, match="broken"), turns.turn("a", never):
        raise ValueError("broken")
    with turns.turn("b", lambda: True):  # it is free: nobody has to wait, and so nobody gives up
        pass
