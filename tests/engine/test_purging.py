"""How the words of what was forgotten leave the lexical files: in rounds that go on after an end."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
from service_in_process import never
from test_indexing import capture, knows_word, wait_until

from remanence.engine import indexing
from remanence.engine import messages as m
from remanence.engine.purging import PurgeMarks
from remanence.engine.service import Service, open_service
from remanence.memory.backlog import LexicalRow
from remanence.memory.index_files import IndexWriteError
from remanence.memory.lexical import LexicalIndex
from remanence.paths import Home

_OTHERS = 6


@pytest.fixture
def added(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """Into which folder each row was put, in order."""
    rows_put: list[tuple[str, int]] = []
    add = LexicalIndex.add

    def noted(index: LexicalIndex, rows: Sequence[LexicalRow]) -> None:
        rows_put.extend((index._folder.name, row.row) for row in rows)
        add(index, rows)

    monkeypatch.setattr(LexicalIndex, "add", noted)
    monkeypatch.setattr(indexing, "_TEXT_BATCH", 2)
    return rows_put


def filled(home: Home) -> tuple[Service, str]:
    """A store of which one memory is to be forgotten."""
    home.settings.write_text("[keywords]\nper_exchange = 0\n", encoding="utf-8")
    service = open_service(home)
    memory = capture(service)
    for number in range(_OTHERS):
        question = f"What stays of number {number}?"
        service.capture(m.CaptureRequest(question=question, answer="Everything else."), never)
    wait_until(lambda: service.status(m.Empty(), never).pending == 0 and not service.indexing.busy)
    return service, memory


def in_a_round(monkeypatch: pytest.MonkeyPatch, then: Callable[[], object]) -> None:
    """Have something happen once, after the first batch of a new index."""
    commit, done = LexicalIndex.commit, list[int]()

    def noted(index: LexicalIndex, revision: int) -> None:
        commit(index, revision)
        if index._folder.name == "lexical.new" and not done:
            done.append(1)
            then()

    monkeypatch.setattr(LexicalIndex, "commit", noted)


def test_a_round_that_an_end_cut_short_goes_on(
    home: Home, monkeypatch: pytest.MonkeyPatch, added: list[tuple[str, int]]
) -> None:
    service, memory = filled(home)
    in_a_round(monkeypatch, service.indexing._stopping.set)
    service.forget(m.ForgetRequest(ids=[memory]), never)
    wait_until(lambda: not service.indexing._thread.is_alive())
    service.close()
    again = open_service(home)
    try:
        wait_until(lambda: not again.indexing._purge_marks.is_due())
        assert not knows_word(again)
        assert len(again.indexing.lexical) == _OTHERS
    finally:
        again.close()
    beside = [row for folder, row in added if folder == "lexical.new"]
    assert len(beside) == len(set(beside)) == _OTHERS


def test_what_is_captured_during_a_round_goes_first(
    home: Home, monkeypatch: pytest.MonkeyPatch, added: list[tuple[str, int]]
) -> None:
    service, memory = filled(home)
    try:
        in_a_round(monkeypatch, lambda: capture_another(service))
        service.forget(m.ForgetRequest(ids=[memory]), never)
        wait_until(lambda: not service.indexing._purge_marks.is_due())
        assert len(service.indexing.lexical) == _OTHERS + 1
    finally:
        service.close()
    folders = [folder for folder, _ in added][1 + _OTHERS :]
    assert folders[:3] == ["lexical.new", "lexical.new", "lexical"]
    assert folders.count("lexical.new") == _OTHERS + 1


def capture_another(service: Service) -> None:
    service.capture(m.CaptureRequest(question="Does this wait?", answer="It does not."), never)
    service.indexing.wake()


def test_a_round_does_not_go_on_with_what_may_hold_words_forgotten_since(home: Home) -> None:
    home.indexes.mkdir(parents=True, exist_ok=True)
    marks, unfinished = PurgeMarks(home.indexes), home.indexes / "lexical.new"
    assert not marks.is_due()
    for forgotten in (True, False, True):
        unfinished.mkdir(exist_ok=True)
        if forgotten:
            marks.forgotten()
        marks.begin(unfinished)
        assert unfinished.exists() != forgotten
        assert marks.is_due()
    marks.done()
    assert not marks.is_due()


def test_no_round_begins_while_what_may_hold_forgotten_words_cannot_be_deleted(home: Home) -> None:
    home.indexes.mkdir(parents=True, exist_ok=True)
    marks, unfinished = PurgeMarks(home.indexes), home.indexes / "lexical.new"
    unfinished.touch()  # no folder
    marks.forgotten()
    with pytest.raises(IndexWriteError, match="cannot be deleted"):
        marks.begin(unfinished)
    unfinished.unlink()
    unfinished.mkdir()
    marks.begin(unfinished)
    assert not unfinished.exists()
