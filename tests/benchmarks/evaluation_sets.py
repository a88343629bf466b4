"""The labelled sets that recall is measured on: their exchanges, their questions, the lines of the table.

A set is a folder with exchanges.jsonl.gz and queries.jsonl.gz. "demo" needs no folder: it is the demo
conversations and the questions to them in demo_queries.jsonl.
"""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
from vector_cache import ROOT

from remanence.memory.rows import Row
from remanence.memory.timestamps import to_ms

Half = Literal["A", "B"]
Item = TypeVar("Item")

DEMO = "demo"
SEED = 0
# Fixed, after every conversation of the sets: how recent a memory is must not depend on the day of the run.
NOW_MS = 1_796_083_200_000
_IMPORTED_MS = NOW_MS - 86_400_000
FACT_TYPES = {
    "information_extraction",
    "knowledge_update",
    "temporal_reasoning",
    "multi_session_reasoning",
    "contradiction_resolution",
}


@dataclass(frozen=True)
class Question:
    """A query of a set. `relevant`, `current` and `stale` are row numbers; `current` holds what replaced
    `stale`. Unanswerable ones name what they were made from in `relevant`: nothing there answers them."""

    qid: str
    text: str
    type: str
    relevant: frozenset[int]
    conversation: str | None = None
    answerable: bool = True
    current: frozenset[int] = frozenset()
    stale: frozenset[int] = frozenset()

    @property
    def half(self) -> Half:
        """Which half of the set it is in: constants are chosen on one and checked on the other."""
        return half_of(self.qid)


@dataclass(frozen=True)
class EvaluationSet:
    """Rows are numbered as they stand in the file, which is the order in which they were said."""

    name: str
    rows: list[Row]
    questions: list[Question]

    @property
    def answerable(self) -> list[Question]:
        return [each for each in self.questions if each.answerable and each.relevant]

    @property
    def unanswerable(self) -> list[Question]:
        return [each for each in self.questions if not each.answerable]


def _any(_: Question) -> bool:
    return True


@dataclass(frozen=True)
class Case:
    """One line of the table: a set's questions, over the whole set or each over its conversation."""

    set: str
    scoped: bool = False
    label: str = ""
    wanted: Callable[[Question], bool] = field(default=_any)

    @property
    def name(self) -> str:
        return f"{self.set}, {'scoped' if self.scoped else 'global'}{self.label and f', {self.label}'}"

    def questions(self, questions: Sequence[Question], most: int | None = None) -> list[Question]:
        """Those of the line; at most `most`, the same ones in every run."""
        chosen = [each for each in questions if self.wanted(each)]
        return sample([each for each in chosen if each.conversation] if self.scoped else chosen, most)


CASES = [
    Case("beam_500k_coding", False, "five fact types", lambda q: q.type in FACT_TYPES),
    Case("beam_500k_coding", True, "five fact types", lambda q: q.type in FACT_TYPES),
    Case("beam_500k_general", False, "five fact types", lambda q: q.type in FACT_TYPES),
    Case("beam_500k_general", True, "five fact types", lambda q: q.type in FACT_TYPES),
    Case("locomo"),
    Case("locomo", True),
    Case("conala"),
    Case("mconala_es"),
    Case("mconala_es", False, "English on Spanish", lambda q: q.type.startswith("en")),
    Case("mconala_es", False, "Spanish on Spanish", lambda q: q.type.startswith("es")),
    Case("memorycode"),
    Case("memorycode", True),
    Case(DEMO),
    Case(DEMO, False, "asked in French", lambda q: q.type.startswith("fr")),
    Case(DEMO, True),
]
SETS = list(dict.fromkeys(case.set for case in CASES if case.set != DEMO))
SMALL_SETS = ["locomo", "conala", "mconala_es"]  # seconds to embed, where the others take minutes


def half_of(qid: str) -> Half:
    """A or B, the same for ever: by the hash of the query's id."""
    return "A" if hashlib.sha256(qid.encode()).digest()[0] % 2 == 0 else "B"


def sample(items: Sequence[Item], most: int | None) -> list[Item]:
    """All of them, or `most` drawn with a fixed seed."""
    if most is None:
        return list(items)
    order = np.random.default_rng(SEED).permutation(len(items))[:most]
    return [items[i] for i in order]


def first_of_same(rows: Sequence[Row]) -> list[int]:
    """For each row, in order, the number of the first one that says the same word for word."""
    firsts: dict[tuple[str, str], int] = {}
    return [firsts.setdefault((row.question.strip(), row.answer.strip()), row.row) for row in rows]


def load(name: str, data: Path | None) -> EvaluationSet:
    """Read a set; `data` is the folder that holds its folder, not needed for the demo."""
    if name == DEMO:
        exchanges = list(read_lines(ROOT / "configs" / "demo" / "conversations.jsonl"))
        queries = list(read_lines(Path(__file__).parent / "demo_queries.jsonl"))
    else:
        if data is None:
            raise SystemExit(f"{name} needs --data: the folder that holds {name}/exchanges.jsonl.gz")
        exchanges = list(read_lines(data / name / "exchanges.jsonl.gz"))
        queries = list(read_lines(data / name / "queries.jsonl.gz"))
    numbers = {exchange["id"]: number for number, exchange in enumerate(exchanges)}
    rows = [_row(number, exchange) for number, exchange in enumerate(exchanges)]
    return EvaluationSet(name, rows, [_question(query, numbers) for query in queries])


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """The objects of a JSON Lines file, gzipped or not."""
    with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open("rt") as file:
        yield from map(json.loads, file)


def _row(number: int, exchange: dict[str, Any]) -> Row:
    return Row(
        row=number,
        id=exchange["id"],
        question=exchange["question"],
        answer=exchange["answer"],
        tool=exchange["source"],
        created_at=_IMPORTED_MS + number,  # as an import would have it: in the order of the file
        asked_at=to_ms(exchange["timestamp"]),
        conversation_id=exchange["conversation_id"] or "",
    )


def _question(query: dict[str, Any], numbers: dict[str, int]) -> Question:
    def rows(key: str) -> frozenset[int]:
        return frozenset(numbers[each] for each in query.get(key, ()) if each in numbers)

    current = rows("current_ids") or rows("relevant_ids") - rows("stale_ids")
    return Question(
        qid=query["qid"],
        text=query["query"],
        type=query["type"],
        relevant=rows("relevant_ids"),
        conversation=query.get("conversation_id"),
        answerable=query.get("answerable", True),
        current=current - rows("stale_ids"),
        stale=rows("stale_ids") - current,
    )
