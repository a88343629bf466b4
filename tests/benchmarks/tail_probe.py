"""Is the end of a long answer found? The last twelve words of 200 exchanges of over 400 words, hit@5.

A model that reads 256 tokens never saw them if the exchange is one vector. And eight of these words inside a
question, as who quotes from memory puts it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from evaluation_sets import sample
from set_store import SYSTEMS, SetStore, System

PROBES = 200
TAIL_WORDS = 12
LONGER_THAN = 400  # words of question and answer
_FIRST = 5
_QUOTED = slice(2, 10)
_QUESTION = "where did you tell me that {}"


def tail_probe(stores: Mapping[str, SetStore], most: int = PROBES) -> dict[str, Any]:
    """hit@5 by set and system, printed and returned; the exchanges are drawn across all sets together.

    Any exchange of the set with the same last words counts as a hit: nobody could tell them apart. The
    last line leaves out the polite endings that many exchanges share.
    """
    tails = {name: _tails(store) for name, store in stores.items()}
    long = [(name, tail) for name, by_tail in tails.items() for tail in _long(stores[name], by_tail)]
    asked = sample(long, most)
    if not asked:
        return {}
    stores_asked = [name for name in stores if any(each == name for each, _ in asked)]
    print(f"\nlast {TAIL_WORDS} words of exchanges over {LONGER_THAN} words, hit@{_FIRST}")
    print(f"{'':<26}{'n':>5}" + "".join(f"{system:>11}" for system in SYSTEMS))
    figures: dict[str, Any] = {}
    once = [(name, tail) for name, tail in asked if len(tails[name][tail]) == 1]
    by_set = {each: [(name, tail) for name, tail in asked if name == each] for each in stores_asked}
    for label, chosen in {**by_set, "all": asked, "all, said once": once}.items():
        if not chosen:
            continue
        hits = {
            system: sum(
                any(row in tails[name][tail] for row in stores[name].ask(system, tail, most=_FIRST))
                for name, tail in chosen
            )
            / len(chosen)
            for system in SYSTEMS
        }
        figures[label] = {"n": len(chosen), **{system: round(hits[system], 4) for system in SYSTEMS}}
        print(f"{label:<26}{len(chosen):>5}" + "".join(f"{hits[system]:>11.3f}" for system in SYSTEMS))
    label = "eight words in a question"
    shares = {
        system: sum(_quoted(stores, system, *each) for each in asked) / len(asked) for system in SYSTEMS
    }
    figures[label] = {"n": len(asked), **{system: round(share, 4) for system, share in shares.items()}}
    print(f"{label:<26}{len(asked):>5}" + "".join(f"{shares[system]:>11.3f}" for system in SYSTEMS))
    return figures


def _quoted(stores: Mapping[str, SetStore], system: System, name: str, tail: str) -> bool:
    """Whether one of the first rows says the eight words, asked for inside a question."""
    quoted = " ".join(tail.split()[_QUOTED])
    found = stores[name].ask(system, _QUESTION.format(quoted), most=_FIRST)
    rows = (stores[name].set.rows[row] for row in found)
    return any(quoted in " ".join(f"{row.question}\n{row.answer}".split()) for row in rows)


def _tails(store: SetStore) -> dict[str, set[int]]:
    """The rows by their last words."""
    rows: dict[str, set[int]] = {}
    for row in store.set.rows:
        rows.setdefault(_last_words(f"{row.question}\n{row.answer}".split()), set()).add(row.row)
    return rows


def _long(store: SetStore, by_tail: Mapping[str, set[int]]) -> Sequence[str]:
    """The tail of every long exchange."""
    tail_of = {row: tail for tail, rows in by_tail.items() for row in rows}
    return [
        tail_of[row.row]
        for row in store.set.rows
        if len(f"{row.question}\n{row.answer}".split()) > LONGER_THAN
    ]


def _last_words(words: Sequence[str]) -> str:
    return " ".join(words[-TAIL_WORDS:])
