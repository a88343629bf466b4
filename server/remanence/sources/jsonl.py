"""Generic JSON Lines: one exchange a line, for whatever has no source of its own.

Each line is an object of question, answer and optionally id, timestamp (seconds, milliseconds or
ISO-8601), conversation_id, source (the tool), model and language (the language it is written in).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from remanence.memory.exchange import Exchange, Status
from remanence.memory.timestamps import to_ms
from remanence.sources.cleaning import drop_thinking, without_images
from remanence.sources.json_values import optional
from remanence.sources.recognising import head_records
from remanence.sources.source import Failure, Item, Source, nowhere
from remanence.sources.text_files import Record, records
from remanence.sources.turns import Occurrences

_NAME = "jsonl"


def read(path: Path) -> Iterator[Item]:
    """The exchanges of one file. A field of the wrong type is a Failure that names it."""
    occurrences = Occurrences()
    for record in records(path):
        yield record if isinstance(record, Failure) else _exchange(record, occurrences)


def recognises(_path: Path, head: bytes) -> bool:
    return any("question" in record and "answer" in record for record in head_records(head))


def _exchange(record: Record, occurrences: Occurrences) -> Item:
    fields = record.fields
    question, answer = fields.get("question"), fields.get("answer")
    if not isinstance(question, str) or not question.strip():
        return Failure(f"line {record.number}", "question: it is missing, empty or not a string.")
    if answer is not None and not isinstance(answer, str):
        return Failure(f"line {record.number}", "answer: it is not a string.")
    external_id, conversation = _name(fields.get("id")), _name(fields.get("conversation_id")) or ""
    language = optional(fields.get("language"))
    said = without_images(drop_thinking(answer or ""))
    return Exchange(
        question=without_images(question),
        answer=said,
        tool=optional(fields.get("source")) or _NAME,
        conversation_id=conversation,
        turn_key=external_id,
        occurrence=0 if external_id else occurrences.next(conversation, question),
        external_id=external_id,
        asked_at=to_ms(fields.get("timestamp")),
        model=optional(fields.get("model")),
        tags=(f"language:{language}",) if language else (),
        status=Status.COMPLETE if said.strip() else Status.UNANSWERED,
    )


def _name(value: object) -> str | None:
    """An id, which some tools write as a number."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return optional(value)


JSONL = Source(_NAME, "JSON Lines", nowhere, read, recognises)
