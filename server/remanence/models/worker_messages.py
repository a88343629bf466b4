"""What the engine and its keyword worker say to each other: one JSON object per line, each way.

The text of an exchange never crosses: its candidates and its vector are all KeyBERT needs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray


class WorkerError(Exception):
    """One batch got no keywords; the next call starts a fresh worker where this one died."""


@dataclass(frozen=True, slots=True)
class KeywordRequest:
    """One exchange: its candidate phrases, and its unit vector of shape (dimensions,), any float type."""

    candidates: tuple[str, ...]
    vector: NDArray[np.floating]


class KeywordDocument(Struct, frozen=True):
    """A `KeywordRequest` on the wire; the vector as little-endian float32 bytes."""

    candidates: tuple[str, ...]
    vector: bytes


class Keyword(Struct, frozen=True):
    """A phrase, and its cosine to the exchange's vector."""

    phrase: str
    score: float


class KeywordBatch(Struct, frozen=True):
    """Documents to draw at most `top` keywords each from."""

    documents: list[KeywordDocument]
    top: int


class KeywordReply(Struct, frozen=True):
    """Keywords of each document in order, best first; or, in words, why there are none."""

    keywords: list[list[Keyword]] = []
    error: str | None = None
