"""The last steps of recall, on rows rather than scores: where and when, versions, repetitions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from remanence.memory import terms
from remanence.memory.passages import clues
from remanence.memory.query import RecallQuery
from remanence.memory.rows import Row
from remanence.memory.time_expressions import Span

Floats = NDArray[np.float32]

# Small against the difference that a matching word makes (some .1): they decide between equals.
_SAME_FILE = 0.05
_SAME_WORKSPACE = 0.05
_SAME_LANGUAGE = 0.01
_KEYWORDS = 0.02
_RECENT = 0.01
_RECENT_HALF_LIFE_MS = 30 * 86_400_000
_IN_SPAN = 0.15
_READ = 2000  # characters of a query that phrases are taken from
_PHRASES = 0.25
_PHRASE = 3  # words
_MOST_PHRASES = 12
_SUPERSEDED = 0.05
_NEAR = 0.97
_SAME_WORDS = 0.9


@dataclass(frozen=True, slots=True)
class Ranked:
    """A row with its score; `candidate` is its place among the candidates of this recall."""

    row: Row
    score: float
    candidate: int
    why: tuple[str, ...] = ()


def with_priors(
    ranked: Sequence[Ranked], query: RecallQuery, query_terms: Sequence[str], span: Span | None
) -> list[Ranked]:
    """Move rows by where the user is, when they mean, and how new each is; best first."""
    phrases = _phrases_said(ranked, query.text)
    named = _keywords_said(ranked, query_terms)
    place = query.place
    moved: list[Ranked] = []
    for each, share, keywords in zip(ranked, phrases, named, strict=True):
        row, score, why = each.row, each.score, each.why
        if place.uri and row.uri == place.uri:
            score += _SAME_FILE
            why = (*why, "same file")
        if place.workspace and row.workspace == place.workspace:
            score += _SAME_WORKSPACE
            why = (*why, "same workspace")
        if place.language_id and row.language_id == place.language_id:
            score += _SAME_LANGUAGE
        score += keywords
        score += _PHRASES * share
        if share >= 0.5:
            why = (*why, "says it in the same words")
        time = row.time
        if span is not None and span.since <= time <= span.until:
            score += _IN_SPAN
            why = (*why, f"from {span.phrase.strip()}, as asked")
        score += _RECENT * 0.5 ** (max(query.now_ms - time, 0) / _RECENT_HALF_LIFE_MS)
        moved.append(Ranked(row, score, each.candidate, why))
    return sorted(moved, key=lambda each: -each.score)


def _phrases_said(ranked: Sequence[Ranked], query: str) -> list[float]:
    """The share of the query's phrases that each row says."""
    phrases = _phrases(query)
    if not phrases:
        return [0.0] * len(ranked)
    texts = [f"{each.row.question}\n{each.row.answer}".lower() for each in ranked]
    together = "\n".join(texts)
    said = [phrase for phrase in phrases if phrase in together]  # of most queries no phrase is in any of them
    if not said:
        return [0.0] * len(ranked)
    return [sum([phrase in text for phrase in said]) / len(phrases) for text in texts]


def _keywords_said(ranked: Sequence[Ranked], query_terms: Sequence[str]) -> list[float]:
    """What each row gains by the query's terms that are among its keywords."""
    gained = [0.0] * len(ranked)
    written = [" ".join(each.row.keywords) for each in ranked]
    plain = [keywords.lower().replace("_", "") for keywords in written]
    together = "\n".join(plain)
    wanted = set(query_terms)
    hints = [hint for hint in {clue for term in wanted for clue in clues(term)} if hint in together]
    for i, keywords in enumerate(plain):
        for hint in hints if keywords.isascii() else ("",):
            if hint in keywords:
                if keywords and wanted:
                    gained[i] = (
                        _KEYWORDS * len(wanted.intersection(terms.stems(written[i]))) / len(query_terms)
                    )
                break
    return gained


def _phrases(text: str) -> list[str]:
    """Runs of three words of a query as written, spread over all of it where there are many."""
    words = text[:_READ].lower().split()
    runs = [" ".join(words[i : i + _PHRASE]) for i in range(len(words) - _PHRASE + 1)]
    step = max(1, len(runs) / _MOST_PHRASES)
    return [runs[int(i * step)] for i in range(min(len(runs), _MOST_PHRASES))]


def demote_superseded(ranked: Sequence[Ranked]) -> list[Ranked]:
    """Put an answer that was replaced below the one that replaced it, and say so; best first."""
    scores = {each.row.id: each.score for each in ranked}
    moved: list[Ranked] = []
    for each in ranked:
        successor = each.row.superseded_by
        if successor is None:
            moved.append(each)
            continue
        score = min(each.score - _SUPERSEDED, scores.get(successor, each.score) - _SUPERSEDED)
        moved.append(replace(each, score=max(score, 0.0), why=(*each.why, "superseded by a newer answer")))
    # of versions with the same score the current one stands first
    return sorted(moved, key=lambda each: (-each.score, each.row.superseded_by is not None))


def collapse_duplicates(ranked: Sequence[Ranked], vectors: Floats | None) -> list[Ranked]:
    """Of memories that say the same, keep the newest at the best one's place, and say how many there were.

    The same: vectors with a cosine of .97 and nine tenths of the words in common. An answer and the one
    that replaced it are kept apart. `vectors` (n, d) are those of the candidates.
    """
    if vectors is None or len(ranked) < 2:
        return list(ranked)
    theirs = vectors[[each.candidate for each in ranked]]
    # not `@`: for a product this small BLAS would start threads, which costs ten times the product
    alike = np.einsum("id,jd->ij", theirs, theirs) >= _NEAR
    later_alike: dict[int, list[int]] = {}
    for one, other in np.argwhere(np.triu(alike, 1)).tolist():
        later_alike.setdefault(one, []).append(other)
    if not later_alike:
        return list(ranked)
    words: dict[int, set[str]] = {}
    kept: list[Ranked] = []
    taken: set[int] = set()
    for i, each in enumerate(ranked):
        if i in taken:
            continue
        later = [j for j in later_alike.get(i, ()) if j not in taken]
        group = [i, *(j for j in later if _same_text(i, j, ranked, words))]
        taken.update(group)
        if len(group) == 1:
            kept.append(each)
            continue
        newest = max((ranked[j] for j in group), key=lambda one: (one.row.time, one.row.row))
        why = (*newest.why, f"newest of {len(group)} nearly identical memories")
        kept.append(replace(newest, score=each.score, why=why))
    return kept


def _same_text(i: int, j: int, ranked: Sequence[Ranked], words: dict[int, set[str]]) -> bool:
    one, other = ranked[i].row, ranked[j].row
    if one.superseded_by != other.superseded_by:
        return False
    for at, row in ((i, one), (j, other)):
        if at not in words:
            words[at] = set(f"{row.question} {row.answer}".lower().split())
    common = len(words[i] & words[j])
    return common >= _SAME_WORDS * max(len(words[i] | words[j]), 1)
