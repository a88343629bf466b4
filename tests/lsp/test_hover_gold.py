"""The hover gold set is well formed: the benchmark that uses it takes minutes, this takes none."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks" / "hover_gold"))

from hover_positions import DISTRACTORS, FILES, KINDS, positions, read_jsonl

CONVERSATIONS = Path(__file__).parents[2] / "configs" / "demo" / "conversations.jsonl"


def test_every_position_lies_on_its_word() -> None:
    for each in positions():
        text = each.lines[each.line - 1]
        assert text[each.column - len(each.word) // 2 :].startswith(each.word), str(each)
        assert each.language_id


def test_every_relevant_exchange_is_in_the_demo() -> None:
    known = {each["id"] for each in read_jsonl(CONVERSATIONS)}
    for each in positions():
        assert each.relevant <= known, str(each)
        assert len(each.relevant) <= 3, str(each)


def test_there_are_enough_positions_of_every_kind_and_for_silence() -> None:
    wanted = [each for each in positions() if each.relevant]
    assert len(wanted) >= 120
    assert {each.kind for each in wanted} == set(KINDS)
    assert len(positions()) - len(wanted) >= 40


def test_no_place_is_asked_twice_and_every_file_is_asked() -> None:
    places = [(each.file, each.line, each.column) for each in positions()]
    assert len(set(places)) == len(places)
    files = {path.relative_to(FILES).as_posix() for path in FILES.rglob("[!.]*") if path.is_file()}
    assert files - {"ruff.toml"} == {each.file for each in positions()}


def test_distractors_are_many_and_none_repeats_another() -> None:
    distractors = read_jsonl(DISTRACTORS)
    assert len(distractors) >= 300
    assert len({each["question"] for each in distractors}) == len(distractors)
    ids = {each["id"] for each in distractors}
    assert len(ids) == len(distractors)
    assert not ids & {each["id"] for each in read_jsonl(CONVERSATIONS)}
