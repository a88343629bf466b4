"""When evidence counts as kept."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from evaluation_sets import EvaluationSet, load
from evidence import Evidence, terms_of

EXCHANGES = [
    {"id": "a", "question": "I aim to deploy by March 1. My code is long.", "answer": "Deploy with care."},
    {"id": "b", "question": "Unrelated words here?", "answer": "Nothing of the sort."},
]
QUERY = {"qid": "q", "query": "When do I deploy?", "relevant_ids": ["a"], "type": "t"}


def evaluated(
    folder: Path, name: str, query: dict[str, object], **of_exchange: object
) -> tuple[EvaluationSet, Evidence]:
    (folder / name).mkdir()
    known = {"source": "s", "timestamp": None, "conversation_id": None, **of_exchange}
    for file, lines in (
        ("exchanges", [{**each, **known} for each in EXCHANGES]),
        ("queries", [QUERY | query]),
    ):
        with gzip.open(folder / name / f"{file}.jsonl.gz", "wt") as written:
            written.write("\n".join(map(json.dumps, lines)))
    read = load(name, folder)
    return read, Evidence(read, folder)


@pytest.mark.parametrize(
    ("entry", "survives"),
    [
        ("Question: I aim to deploy by March 1.", True),
        ("… aim to deploy by March …", False),  # the answer's number is gone
        ("Answer: Deploy with care.", False),
        ("Unrelated words here?", False),
    ],
)
def test_the_sentence_with_the_answer_and_its_numbers_must_be_there(
    tmp_path: Path, entry: str, survives: bool
) -> None:
    read, evidence = evaluated(tmp_path, "beam_500k_coding", {"answer": "By March 1 you aim to."})
    assert evidence.survives(read.questions[0], 0, [terms_of("something else"), terms_of(entry)]) == survives


def test_it_must_be_there_in_one_entry(tmp_path: Path) -> None:
    read, evidence = evaluated(tmp_path, "beam_500k_coding", {"answer": "By March 1 you aim to."})
    assert not evidence.survives(read.questions[0], 0, [terms_of("I aim to"), terms_of("deploy by March 1")])


def test_a_named_turn_must_be_there_and_the_other_need_not(tmp_path: Path) -> None:
    named = {"relevant_turn_ids": ["turn:c:D1:2"], "answer": "March"}
    read, evidence = evaluated(tmp_path, "locomo", named, dia_ids=["D1:1", "D1:2"])
    assert evidence.survives(read.questions[0], 0, [terms_of("Deploy with care.")])
    assert not evidence.survives(read.questions[0], 0, [terms_of("I aim to deploy by March 1.")])


def test_a_memory_of_a_line_or_two_must_be_there_whole(tmp_path: Path) -> None:
    read, evidence = evaluated(tmp_path, "conala", {})
    whole = f"{EXCHANGES[0]['question']} {EXCHANGES[0]['answer']}"
    assert evidence.survives(read.questions[0], 0, [terms_of(whole)])
    assert not evidence.survives(read.questions[0], 0, [terms_of("I aim to deploy by March 1.")])
