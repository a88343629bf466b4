"""A query: what is asked, from where, and within which limits; and its words as the user wrote them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal

from remanence.memory import terms
from remanence.memory.rows import Scope

Mode = Literal["hybrid", "dense", "lexical"]
_TOKEN = re.compile(r"[^\s,;()\[\]{}<>\"'`|=]+")
_MOST_TOKENS = 64
_LONGEST_TOKEN = 100  # characters: nobody reads a longer one among the reasons
_BEGINNING, _END = 14_000, 4_000  # characters of a query that count: what is asked stands at either end
_LONGEST_SYMBOL = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where the user is. It moves ranks and excludes nothing."""

    uri: str | None = None
    language_id: str | None = None
    workspace: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecallQuery:
    """`symbol` is the identifier under the cursor. `automatic`: nobody asked in so many words, so recall
    abstains in doubt. `now_ms` is the moment that "yesterday" is seen from. Without `excerpts` they are
    empty, for whoever reads whole answers."""

    text: str
    now_ms: int
    limit: int = 10
    mode: Mode = "hybrid"
    scope: Scope = field(default_factory=Scope)
    place: Place = field(default_factory=Place)
    symbol: str | None = None
    automatic: bool = False
    min_score: float | None = None
    excerpts: bool = True

    @property
    def words(self) -> str:
        """The text that the lexical side searches; of a long one its beginning and its end."""
        text, symbol = self.text, self.symbol
        if len(text) > _BEGINNING + _END:
            text = f"{text[:_BEGINNING]}\n{text[-_END:]}"
        return f"{text} {symbol[:_LONGEST_SYMBOL]}" if symbol and symbol not in text else text

    @property
    def meaning(self) -> str:
        """The text that is embedded: identifiers also as the words they are made of."""
        text = self.words
        if not self.symbol and not (len(text) < 200 and " " not in text.strip()):
            return text
        parts = " ".join(terms.identifier_parts(self.symbol[:_LONGEST_SYMBOL] if self.symbol else text))
        return text if parts == text.lower() else f"{text} {parts}"


def surface_words(text: str) -> list[tuple[str, frozenset[str]]]:
    """The words of a query as written ("socket.io", "getUser"), each with the index terms it stands for."""
    found: dict[str, frozenset[str]] = {}
    for token in _TOKEN.findall(text):
        word = token.strip(".,:;!?*_-/\\#…。，？！")
        if word and len(word) <= _LONGEST_TOKEN and word not in found:
            found[word] = _stands_for(word)
            if len(found) == _MOST_TOKENS:
                break
    return list(found.items())


@lru_cache(4096)
def _stands_for(word: str) -> frozenset[str]:
    return frozenset(terms.query_stems(word))
