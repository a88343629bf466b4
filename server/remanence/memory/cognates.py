"""Words that are written alike in two languages: which memory in another language a query means.

A stem is the same or it is not, and an embedder that knows English makes little of Spanish. But many words
that developers use differ by an ending or a letter: "dictionary" and "diccionario", "module" and "Modul". So
memories whose question is in another language than the query are compared by the runs of three letters that
their words have in common. Within one language stems and vectors know better: nothing is changed there.

English and Spanish on Spanish (mconala_es): R@10 .924 to .932 on half A, .921 to .939 on half B, MRR .836 to
.851 and .835 to .857. A greater weight gains more there and loses on the demo's French and English.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

from remanence.memory import terms
from remanence.memory.function_words import is_function_word, language_of
from remanence.memory.ranking import Ranked

_WEIGHT = 0.2
_LOOKED_AT = 30  # memories: what stands lower does not come up among the first ten by this
_READ = 400  # characters of a query and of a question
_TELLING = 200  # of them tell the language
_RUN = 3  # letters
_WORTH_SAYING = 0.02
_WORD = re.compile(r"\w+")


def across_languages(ranked: Sequence[Ranked], query: str) -> list[Ranked]:
    """Move memories in other languages by how alike their questions' words are to the query's; best first.

    Alike beyond the mean of them all: none gains or loses by being in another language. Nothing moves where
    the language of the query is not known, or fewer than two memories are in another.
    """
    spoken = language_of(query[:_READ])
    if spoken is None:
        return list(ranked)
    foreign = [
        i
        for i, each in enumerate(ranked[:_LOOKED_AT])
        if language_of(each.row.question[:_TELLING]) not in (None, spoken)
    ]
    if len(foreign) < 2:
        return list(ranked)
    asked = _letters(query)
    alike = [_share(asked, _letters(ranked[i].row.question)) for i in foreign]
    mean = sum(alike) / len(alike)
    moved = list(ranked)
    for i, share in zip(foreign, alike, strict=True):
        each, gained = ranked[i], _WEIGHT * (share - mean)
        why = (*each.why, "words alike in another language") if gained >= _WORTH_SAYING else each.why
        moved[i] = replace(each, score=each.score + gained, why=why)
    return sorted(moved, key=lambda each: -each.score)


def _share(one: set[str], other: set[str]) -> float:
    return 2 * len(one & other) / max(len(one) + len(other), 1)


def _letters(text: str) -> set[str]:
    """The runs of three letters in a text's words but function words; a word's ends count as letters."""
    words = set(_WORD.findall(terms.folded(text[:_READ]).lower()))
    return {run for word in words for run in _of_word(word)}


@lru_cache(maxsize=2048)
def _of_word(word: str) -> frozenset[str]:
    if len(word) < _RUN or is_function_word(word):
        return frozenset()
    padded = f" {word} "
    return frozenset(padded[i : i + _RUN] for i in range(len(word)))
