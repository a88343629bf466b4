"""What rows hold, read back: BM25 and terms as they are, through replacing, removing, crashes and damage."""

from __future__ import annotations

import math
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remanence.memory import held_terms
from remanence.memory.backlog import LexicalRow
from remanence.memory.held_terms import HeldTerms, TermsAsked
from remanence.memory.index_files import IndexReadError, IndexWriteError
from remanence.memory.lexical import LexicalIndex
from remanence.memory.vector_file import RowFile

Text = tuple[Sequence[str], Sequence[str]]  # the terms of a question, and of the rest

VOCABULARY = ("socket", "redis", "timeout", "numpy", "größe", "数据", "a.b")
texts = st.tuples(*[st.lists(st.sampled_from(VOCABULARY), max_size=8)] * 2)


def ask(*terms: str) -> TermsAsked:
    idf = np.arange(1, len(terms) + 1, dtype=np.float32)
    return TermsAsked(terms, idf, 2 * idf)


def add(held: HeldTerms, row: int, text: Text) -> None:
    question, rest = text
    held.add(row, [*question, *rest], question)


def filled(folder: Path, rows: Mapping[int, Text]) -> HeldTerms:
    held = HeldTerms(folder)
    for row, text in rows.items():
        add(held, row, text)
    held.commit()
    return held


def terms_of(held: HeldTerms, *rows: int) -> list[set[str]]:
    flags = held.evidence(ask(*VOCABULARY), np.array(rows, dtype=np.int64))[2]
    return [{term for term, there in zip(VOCABULARY, row.tolist(), strict=True) if there} for row in flags]


def bm25(terms: Sequence[str], wanted: TermsAsked, idf: Sequence[float], usual: float) -> float:
    length = 1.2 * (0.25 + 0.75 * len(terms) / usual)
    counts = [terms.count(term) for term in wanted.terms]
    return sum(
        weight * 2.2 * often / (often + length) for weight, often in zip(idf, counts, strict=True) if often
    )


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.integers(0, 3000), texts, min_size=1, max_size=12))
def test_evidence_is_bm25_of_the_text_and_of_the_question(
    tmp_path_factory: pytest.TempPathFactory, rows: dict[int, Text]
) -> None:
    held = filled(tmp_path_factory.mktemp("held"), rows)
    wanted = ask("redis", "nowhere", "größe", "a.b", "数据")
    numbers = [*rows, 4000, 7]
    body, question, flags = held.evidence(wanted, np.array(numbers))
    usual = max(np.mean([len(asked) + len(rest) for asked, rest in rows.values()]), 1.0)
    usual_question = max(np.mean([len(asked) for asked, _ in rows.values()]), 1.0)
    for i, number in enumerate(numbers):
        asked, rest = rows.get(number, ((), ()))
        text = [*asked, *rest]
        assert flags[i].tolist() == [term in text for term in wanted.terms]
        expected = bm25(text, wanted, wanted.body_idf.tolist(), float(usual))
        assert math.isclose(body[i], expected, rel_tol=1e-5)
        expected = bm25(list(asked), wanted, wanted.question_idf.tolist(), float(usual_question))
        assert math.isclose(question[i], expected, rel_tol=0.06)  # of six and of eight times the one below


def test_a_count_too_high_to_be_told_exactly_is_told_about(tmp_path: Path) -> None:
    held = filled(tmp_path, {1: (["redis"] * 9, ["redis"] * 900), 2: (["numpy"], ["numpy"])})
    body, question, _ = held.evidence(ask("redis"), np.array([1, 2]))
    usual = (909 + 2) / 2
    exact = bm25(["redis"] * 909, ask("redis"), [1.0], usual)
    assert 0.8 * exact < body[0] < 1.01 * exact
    assert question[0] > 0
    assert body[1] == question[1] == 0


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.lists(st.tuples(st.integers(0, 6), st.none() | texts), max_size=6), max_size=8),
    st.booleans(),
)
def test_what_is_added_replaced_and_removed_is_there_after_each_commit_and_each_opening(
    tmp_path_factory: pytest.TempPathFactory, commits: list[list[tuple[int, Text | None]]], tidied: bool
) -> None:
    folder = tmp_path_factory.mktemp("held")
    held, expected = HeldTerms(folder), dict[int, Text]()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(held_terms, "_SLACK", 0 if tidied else 1 << 20)
        for changes in commits:
            for row, text in changes:
                if text is None:
                    held.remove(row)
                    expected.pop(row, None)
                else:
                    add(held, row, text)
                    expected[row] = text
            held.commit()
            held.remove_strays()
            for each in (held, HeldTerms(folder, held.state)):
                wanted = [set(expected[row][0]) | set(expected[row][1]) for row in sorted(expected)]
                assert terms_of(each, *sorted(expected)) == wanted
                assert terms_of(each, *set(range(7)) - set(expected)) == [set()] * (7 - len(expected))


def test_what_no_state_counts_is_ignored_and_written_over(tmp_path: Path) -> None:
    held = filled(tmp_path, {1: (["redis"], []), 2: (["numpy"], [])})
    before = held.state
    add(held, 1, (["socket"], []))
    held.remove(2)
    held.commit()
    crashed = HeldTerms(tmp_path, before)
    assert terms_of(crashed, 1, 2) == [{"redis"}, {"numpy"}]
    add(crashed, 3, (["timeout"], ["redis"]))
    crashed.commit()
    assert terms_of(HeldTerms(tmp_path, crashed.state), 1, 2, 3) == [
        {"redis"},
        {"numpy"},
        {"timeout", "redis"},
    ]


def test_files_that_are_mostly_of_no_use_are_replaced_by_small_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(held_terms, "_SLACK", 100)
    held = HeldTerms(tmp_path)
    for _ in range(60):
        for row in range(40):
            add(held, row, (["redis"], VOCABULARY[: row % 7]))
        held.commit()
        held.remove_strays()
    assert len(list(tmp_path.glob("held-*"))) == 2
    assert held.nbytes < 2 * filled(tmp_path, {row: (["redis"], VOCABULARY) for row in range(40)}).nbytes
    assert terms_of(held, 0, 6, 39)[1] == {"redis", *VOCABULARY[:6]}


def test_reading_goes_on_from_the_files_that_were_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(held_terms, "_SLACK", 0)
    held = filled(tmp_path, {1: (["redis"], []), 2: (["numpy"], [])})
    reading = RowFile.read_bytes
    once = [True]

    def replaced_meanwhile(file: RowFile, *spans: object) -> bytes:
        if once:
            once.clear()
            for _ in range(4):
                add(held, 1, (["socket"], []))
                held.commit()
            held.remove_strays()
        return reading(file, *spans)  # type: ignore[arg-type]

    monkeypatch.setattr(RowFile, "read_bytes", replaced_meanwhile)
    assert terms_of(held, 1, 2) == [{"redis"}, {"numpy"}]
    assert terms_of(held, 1, 2) == [{"socket"}, {"numpy"}]


def test_files_are_private(tmp_path: Path) -> None:
    filled(tmp_path, {1: (["redis"], [])})
    assert {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()} == {0o600}


def lexical(folder: Path) -> LexicalIndex:
    index = LexicalIndex.open(folder)
    index.add(
        [LexicalRow(n, n, f"redis {n}", "a socket timeout", (), "", "aider", "c", "w") for n in range(1, 30)]
    )
    index.commit(7)
    index.close()
    return index


def damage(folder: Path, kind: str) -> None:
    (log,) = folder.glob("held-log-*")
    (words,) = set(folder.glob("held-*")) - {log}
    if kind == "log":
        log.write_bytes(bytes([log.read_bytes()[0] ^ 1]) + log.read_bytes()[1:])
    elif kind == "short":
        words.write_bytes(words.read_bytes()[:40])
    else:
        (words if kind == "missing" else log).unlink()


@pytest.mark.parametrize("kind", ["log", "short", "missing", "missing log"])
def test_damaged_files_make_the_lexical_index_anew(tmp_path: Path, kind: str) -> None:
    lexical(tmp_path)
    damage(tmp_path, kind)
    again = LexicalIndex.open(tmp_path)
    assert (again.revision, len(again)) == (0, 0)
    assert again.note is not None
    assert "damaged" in again.note
    lexical(tmp_path)
    assert LexicalIndex.open(tmp_path).note is None
    assert len(list(tmp_path.glob("held-*"))) == 2


def test_words_of_other_rows_are_no_evidence(tmp_path: Path) -> None:
    index = lexical(tmp_path)
    (words,) = set(tmp_path.glob("held-*")) - set(tmp_path.glob("held-log-*"))
    words.write_bytes(bytes(words.stat().st_size))
    with pytest.raises(IndexReadError, match="damaged"):
        index.evidence(index.query("redis"), np.array([3]))


def test_a_full_disk_leaves_what_was_there_and_the_next_try_succeeds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = lexical(tmp_path)
    row = LexicalRow(40, 40, "numpy", "", (), "", "aider", "c", "w")

    def refuse(file: RowFile) -> None:
        raise OSError("No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(RowFile, "sync", refuse)
        index.add([row])
        with pytest.raises(IndexWriteError, match="No space"):
            index.commit(8)
    held = index.evidence(index.query("redis numpy"), np.array([3, 40]))[2]
    assert held.any(axis=1).tolist() == [True, False]
    index.add([row])
    index.commit(8)
    for each in (index, LexicalIndex.open(tmp_path)):
        assert each.evidence(each.query("numpy"), np.array([3, 40]))[2].tolist() == [[False], [True]]
