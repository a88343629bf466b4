from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

from remanence.memory.exchange import Exchange, Status
from remanence.sources.jsonl import JSONL, read
from remanence.sources.source import Failure

WriteLines = Callable[..., Path]


def test_every_field_of_a_line_is_read(write_lines: WriteLines) -> None:
    path = write_lines(
        [
            {
                "id": "ex:1",
                "question": "¿Cómo ordeno una lista?",
                "answer": "sorted(x)",
                "timestamp": "2026-03-01T09:00:00Z",
                "conversation_id": "c1",
                "source": "forum",
                "model": "demo",
                "language": "es",
                "session_id": None,
            }
        ]
    )

    assert list(read(path)) == [
        Exchange(
            question="¿Cómo ordeno una lista?",
            answer="sorted(x)",
            tool="forum",
            conversation_id="c1",
            turn_key="ex:1",
            external_id="ex:1",
            asked_at=1772355600000,
            model="demo",
            tags=("language:es",),
        )
    ]


def test_only_question_and_answer_are_needed(write_lines: WriteLines) -> None:
    turn = {"question": "q", "answer": "a"}

    assert list(read(write_lines([turn, turn]))) == [
        Exchange(question="q", answer="a", tool="jsonl"),
        Exchange(question="q", answer="a", tool="jsonl", occurrence=1),
    ]


def test_an_id_may_be_a_number(write_lines: WriteLines) -> None:
    path = write_lines([{"id": 7, "question": "q", "answer": "a", "conversation_id": 8}])

    assert [(it.external_id, it.conversation_id) for it in read(path) if isinstance(it, Exchange)] == [
        ("7", "8")
    ]


def test_no_answer_is_unanswered(write_lines: WriteLines) -> None:
    path = write_lines(
        [{"question": "q"}, {"question": "q", "answer": None}, {"question": "q", "answer": " "}]
    )

    assert [it.status for it in read(path) if isinstance(it, Exchange)] == [Status.UNANSWERED] * 3


def test_a_field_of_the_wrong_type_is_a_failure_that_names_it(write_lines: WriteLines) -> None:
    path = write_lines(
        [
            {"question": 1, "answer": "a"},
            {"answer": "a"},
            {"question": "q", "answer": ["a"]},
            {"question": "q"},
        ]
    )

    items = list(read(path))

    assert items[:3] == [
        Failure("line 1", "question: it is missing, empty or not a string."),
        Failure("line 2", "question: it is missing, empty or not a string."),
        Failure("line 3", "answer: it is not a string."),
    ]
    assert isinstance(items[3], Exchange)


def test_a_time_that_makes_no_sense_is_none(write_lines: WriteLines) -> None:
    times = ["yesterday", -5, 10**400, True, {}, 1e400]
    path = write_lines([{"question": "q", "answer": "a", "timestamp": time} for time in times])

    assert [it.asked_at for it in read(path) if isinstance(it, Exchange)] == [None] * len(times)


def test_a_compressed_file_is_read(write_lines: WriteLines, tmp_path: Path) -> None:
    plain = write_lines([{"question": "q", "answer": "a"}])
    packed = tmp_path / "exchanges.jsonl.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))

    assert list(read(packed)) == list(read(plain))


def test_exchanges_are_recognised_by_their_fields() -> None:
    assert JSONL.recognises(Path("x.jsonl"), b'{"question":"q","answer":"a"}\n{"question":')
    assert not JSONL.recognises(Path("x.jsonl"), b'{"messages":[]}\n')
