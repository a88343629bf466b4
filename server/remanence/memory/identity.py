"""Who an exchange is (so that the same turn is one row) and what it says (so that the same text is)."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from dataclasses import dataclass

from remanence.memory.exchange import Exchange

_TRAILING_SPACE = re.compile(r"[^\S\n]+(?=\n)")
_BLANK_RUN = re.compile(r"\n{3,}")
_SEPARATOR = "\x1f"


@dataclass(frozen=True, slots=True)
class Identity:
    """`id` names the turn (32 hex digits), `content_hash` its redacted text, `question_hash` its question.

    `by_content` is true where nothing but the text identifies the turn: no conversation, no key.
    """

    id: str
    content_hash: bytes
    question_hash: bytes
    by_content: bool


def normalise(text: str) -> str:
    """NFC, LF line ends, no trailing space, no run of blank lines, trimmed. Idempotent."""
    text = unicodedata.normalize("NFC", text).replace("\r\n", "\n").replace("\r", "\n")
    return _BLANK_RUN.sub("\n\n", _TRAILING_SPACE.sub("", text)).strip()


def content_hash(question: str, answer: str) -> bytes:
    """SHA-256 over the normalised question and answer, kept apart by a separator."""
    joined = f"{normalise(question)}{_SEPARATOR}{normalise(answer)}"
    return hashlib.sha256(joined.encode("utf-8", "surrogatepass")).digest()


def exchange_id(tool: str, conversation_id: str, turn_key: str) -> str:
    """The stable name of one turn of one conversation of one tool."""
    joined = _SEPARATOR.join((tool, conversation_id, turn_key))
    return hashlib.sha256(joined.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def identify(raw: Exchange, redacted: Exchange, key: bytes) -> Identity:
    """Name an exchange. `raw` is what the tool wrote, `redacted` what will be stored.

    A question without a key of its own is named by a keyed hash (BLAKE2b) of its raw text: stable
    when redaction rules change, and of no use to guess a secret from without the database's `key`.
    """
    hashed = hashlib.blake2b(
        normalise(raw.question).encode("utf-8", "surrogatepass"), key=key, digest_size=16
    ).digest()
    content = content_hash(redacted.question, redacted.answer)
    turn_key = raw.turn_key or raw.external_id
    by_content = turn_key is None and not raw.conversation_id
    if by_content:
        turn_key = f"c:{content.hex()[:32]}"
    elif turn_key is None:
        turn_key = f"q:{hashed.hex()}:{raw.occurrence}"
    return Identity(
        id=exchange_id(raw.tool, raw.conversation_id, turn_key or ""),
        content_hash=content,
        question_hash=hashed,
        by_content=by_content,
    )


def is_grown(old_answer: str, new_answer: str) -> bool:
    """Whether the new answer is the old one, further written."""
    old, new = normalise(old_answer), normalise(new_answer)
    return len(new) > len(old) and new.startswith(old)
