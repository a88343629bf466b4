"""What is quoted word for word is found, however ordinary its words and however long what holds it."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest

from remanence.memory import terms
from remanence.memory.backlog import LexicalRow
from remanence.memory.lexical import LexicalIndex
from remanence.memory.phrases import Quoted, quoted
from remanence.memory.rows import Scope

TAIL = "so tell me which of the two you would like to try first"
SHUFFLED = "first of the two which you try me to like so would tell"
FILLER = "The harbour crane lifts another container before the tide turns. " * 30


def filled(folder: Path, *answers: str) -> LexicalIndex:
    """Rows numbered from 0, each in a conversation of its own."""
    index = LexicalIndex.open(folder)
    index.add(
        [
            LexicalRow(
                row=number,
                revision=1,
                question="And then?",
                answer=answer,
                keywords=(),
                title="",
                tool="t",
                conversation_id=f"c{number}",
                workspace="",
            )
            for number, answer in enumerate(answers)
        ]
    )
    index.commit(1)
    return index


def shares(index: LexicalIndex, text: str, scope: Scope | None = None) -> dict[int, float]:
    found = quoted(index, text, index.query(text), scope)
    return dict(zip(found.rowids.tolist(), found.share.tolist(), strict=True))


def test_the_end_of_a_long_answer_is_told_from_the_same_words_in_another_order(tmp_path: Path) -> None:
    index = filled(tmp_path, *[f"{SHUFFLED}. " * 3] * 150, FILLER + TAIL)
    assert 150 not in index.search(TAIL, 100)[0].tolist()
    assert shares(index, TAIL) == {150: 1.0}


def test_marks_case_and_line_ends_do_not_matter(tmp_path: Path) -> None:
    index = filled(tmp_path, "**So tell me**,\nwhich of the two you would like:\n\nto try FIRST?")
    assert shares(index, TAIL) == {0: 1.0}


def test_of_a_quotation_inside_a_question_the_runs_are_found(tmp_path: Path) -> None:
    index = filled(
        tmp_path,
        FILLER + "the lighthouse keeper paints the northern railing every second spring",
        "the railing: every second spring a keeper paints the northern one of the lighthouse",
    )
    asked = "where was it that the lighthouse keeper paints the northern railing every second spring"
    held = shares(index, asked)
    assert set(held) == {0}
    assert 0.5 < held[0] <= 1


def test_less_than_half_of_a_question_in_common_is_no_quotation(tmp_path: Path) -> None:
    index = filled(tmp_path, "The lighthouse keeper paints the northern gate, where a goat sleeps.")
    asked = "the lighthouse keeper paints the northern pier of Brindle harbour early every autumn morning"
    assert index.in_order(terms.stems("the lighthouse keeper paints the northern"), 10).tolist() == [0]
    assert shares(index, asked) == {}


def test_a_run_of_function_words_alone_says_nothing(tmp_path: Path) -> None:
    index = filled(tmp_path, "what is it that we had there", "the rudder of the ferry")
    asked = "what is it that we had painted on the rudder of a ferry"
    assert index.in_order(terms.stems("what is it that we had"), 10).tolist() == [0]
    assert shares(index, asked) == {}


@pytest.mark.parametrize("text", ["", "harbour crane", "the harbour crane lifts another", "? ! …", "🦀🦀"])
def test_a_short_query_is_no_quotation(tmp_path: Path, text: str) -> None:
    assert shares(filled(tmp_path, FILLER), text) == {}


def test_the_scope_is_a_hard_condition(tmp_path: Path) -> None:
    index = filled(tmp_path, TAIL, TAIL)
    assert shares(index, TAIL) == {0: 1.0, 1: 1.0}
    assert shares(index, TAIL, Scope(conversation_id="c1")) == {1: 1.0}
    found = quoted(index, TAIL, index.query(TAIL), None, np.array([0]))
    assert found.rowids.tolist() == [0]


def test_a_run_of_words_that_are_everywhere_is_not_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = filled(tmp_path, TAIL, TAIL, TAIL)
    monkeypatch.setattr("remanence.memory.lexical._COMMON", 2)
    assert index.in_order(terms.stems(TAIL), 10).tolist() == []
    monkeypatch.setattr("remanence.memory.lexical._COMMON", 3)
    assert sorted(index.in_order(terms.stems(TAIL), 10).tolist()) == [0, 1, 2]


@pytest.mark.parametrize("seed", range(4))
def test_runs_looked_for_as_one_are_found_where_each_alone_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    drawn = random.Random(seed)
    rows = [" ".join(drawn.choices(("crane", "harbour", "tide", "rope"), k=60)) for _ in range(40)]
    index = filled(tmp_path, *rows)
    started = [drawn.choice(rows).split()[5 : 5 + drawn.randint(4, 12)] for _ in range(60)]
    asked = [
        " ".join(words + drawn.choices(("tide", "rope", "oar"), k=drawn.randint(2, 6))) for words in started
    ]
    together = [shares(index, text) for text in asked]
    monkeypatch.setattr("remanence.memory.phrases._SHARED", 7)  # more than a run has: each is looked for
    assert together == [shares(index, text) for text in asked]
    assert any(together)
    assert not all(together)


@pytest.mark.parametrize("seed", range(3))
def test_a_run_whose_rarest_terms_are_looked_for_first_is_found_as_any_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    drawn = random.Random(seed)
    words = ("crane", "harbour", "tide", "rope", *["the"] * 4, *[f"name{n}" for n in range(4)])
    rows = [drawn.choices(words, k=30) for _ in range(60)]
    index = filled(tmp_path, *map(" ".join, rows))
    common = sorted(sum(word in row for row in rows) for word in words[:4])[0]
    monkeypatch.setattr("remanence.memory.lexical._COMMON", common)  # some are in more rows, some in fewer
    runs = [row[5 : 5 + drawn.randint(2, 9)] for row in rows]
    for run in [*runs, *(drawn.sample(run, len(run)) for run in runs)]:
        terms_of = [terms.stems(word)[0] for word in run]
        padded = f" {' '.join(run)} "
        holding = [n for n, row in enumerate(rows) if padded in f" {' '.join(row)} "]
        is_rare = min(sum(word in row for row in rows) for word in run) <= common
        assert sorted(index.in_order(terms_of, 100).tolist()) == (holding if is_rare else [])


@pytest.mark.parametrize("run", [[], ["crane"], ["crane", "unheard"]])
def test_no_run_is_held_by_no_row(tmp_path: Path, run: list[str]) -> None:
    assert filled(tmp_path, FILLER).in_order(run, 10).tolist() == []


def test_what_a_memory_gains_grows_with_the_share_it_holds() -> None:
    found = Quoted(np.array([2, 5, 9]), np.array([0.5, 1.0, 0.25], dtype=np.float32))
    gained = found.gained(np.array([9, 1, 5, 2, 11]))
    assert gained[2] > 3 * gained[3] > 9 * gained[0] > 0
    assert gained[[1, 4]].tolist() == [0, 0]
    assert Quoted.nothing().gained(np.array([1, 2])).tolist() == [0, 0]
