"""From what a door or a source hands in to what is stored: cleaned, redacted, named, committed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from remanence.engine.verbs import invalid
from remanence.memory.exchange import Exchange
from remanence.memory.identity import identify
from remanence.memory.prompt import strip_memory
from remanence.memory.redaction import REDACTOR_VERSION, redact
from remanence.memory.store import Candidate

LONGEST_TEXT = 4 * 2**20  # characters of a question or an answer
_TEXTS = (
    *("question", "answer", "tool", "conversation_id", "conversation_title", "turn_key", "external_id"),
    *("model", "workspace", "uri", "language_id", "origin"),
)


@dataclass(frozen=True, slots=True)
class Cleaned:
    """An exchange ready for the store, and the kinds of secret that were taken out of it."""

    candidate: Candidate
    redactions: tuple[str, ...]


def clean(raw: Exchange, identity_key: bytes) -> Cleaned:
    """Strip our own memory block, redact, name. Raises EngineError naming the field that is unfit."""
    raw = _storable(raw)
    raw = replace(raw, question=strip_memory(raw.question))
    if not raw.question.strip():
        raise invalid("question: it is empty.", "question")
    question, answer = redact(raw.question), redact(raw.answer)
    title = redact(raw.conversation_title) if raw.conversation_title else None
    redacted = replace(
        raw,
        question=question.text,
        answer=answer.text,
        conversation_title=title.text if title else None,
        tags=tuple(redact(tag).text for tag in raw.tags),
        workspace=_url(raw.workspace),
        uri=_url(raw.uri),
    )
    candidate = Candidate(redacted, identify(raw, redacted, identity_key), REDACTOR_VERSION)
    return Cleaned(candidate, (*question.kinds, *answer.kinds))


def _storable(raw: Exchange) -> Exchange:
    """Every text as SQLite and the indexes can hold it. Raises EngineError naming one that is too long."""
    texts: dict[str, Any] = {"tags": tuple(storable(tag) for tag in raw.tags)}
    for name in _TEXTS:
        text: str | None = getattr(raw, name)
        if text is None:
            continue
        if len(text) > LONGEST_TEXT:
            raise invalid(
                f"{name}: {len(text) / 2**20:.1f} million characters are too many; "
                f"the limit is {LONGEST_TEXT // 2**20} million.",
                name,
            )
        texts[name] = storable(text)
    return replace(raw, **texts)


def storable(text: str) -> str:
    """Without NULs and lone surrogates (a name on disk that is not UTF-8 has those too)."""
    return text.replace("\x00", "").encode("utf-8", "replace").decode("utf-8")


def _url(text: str | None) -> str | None:
    return redact(text).text if text else text
