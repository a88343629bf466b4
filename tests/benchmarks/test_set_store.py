"""The quality benchmark's store: every system keeps to its scope, and the gate sweep tells the truth."""

from __future__ import annotations

from pathlib import Path

import pytest
from evaluation_sets import DEMO, load
from set_store import SYSTEMS, SetStore, System, gate
from vector_cache import VectorCache

from remanence.memory import fusion
from remanence.models.embedder import Embedder


@pytest.fixture(scope="module")
def store(embedder_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> SetStore:
    folder = tmp_path_factory.mktemp("demo")
    return SetStore(load(DEMO, None), VectorCache(Embedder.load(embedder_folder, 2), folder), folder)


@pytest.mark.parametrize("system", SYSTEMS)
def test_every_system_finds_an_exchange_by_its_own_question(store: SetStore, system: System) -> None:
    found = [store.ask(system, row.question)[:1] == [row.row] for row in store.set.rows]
    assert sum(found) >= 0.95 * len(found)


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_scoped_answer_stays_in_its_conversation(store: SetStore, system: System) -> None:
    questions = [each for each in store.set.answerable if each.conversation]
    for question in questions:
        rows = store.rows(store.find(system, question, scoped=True))
        assert {row.conversation_id for row in rows} <= {question.conversation}
    assert any(store.find(system, question, scoped=True) for question in questions)


def test_evidence_is_the_gate_up_to_which_automatic_recall_speaks(store: SetStore) -> None:
    for question in store.set.questions[::8]:
        evidence = store.evidence(question.text)
        spoken = {}
        for near in (evidence - 0.001, evidence + 0.003):
            with gate(near):
                spoken[near] = bool(store.recall(question.text, automatic=True))
        assert list(spoken.values()) == [True, False]


def test_a_sweep_leaves_the_shipped_gate_as_it_was(store: SetStore) -> None:
    shipped = fusion.AUTOMATIC_GATE
    store.evidence(store.set.questions[0].text)
    assert shipped == fusion.AUTOMATIC_GATE


def test_words_that_look_like_operators_are_words(store: SetStore) -> None:
    for text in ('title:"port" AND (NOT', "+ - * /", "", "row:1", "\x00\ud800 port"):
        assert isinstance(store.plain.words(text, 5), list)
