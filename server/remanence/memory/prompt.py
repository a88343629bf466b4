"""Prompts with memory: what recall found, packed under a token budget, fenced and labelled as data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from remanence.memory.entries import Entry
from remanence.memory.extracts import Embed
from remanence.memory.fence import fenced, strip_memory
from remanence.memory.packing import how_wide, joined, pack
from remanence.memory.rows import Row
from remanence.memory.shortening import Shorten
from remanence.memory.token_count import Count, count_tokens

__all__ = ["Enriched", "Packed", "count_tokens", "enrich", "how_wide", "memory_block", "strip_memory"]


@dataclass(frozen=True, slots=True)
class Packed:
    """One memory in the prompt and what it costs."""

    row: Row
    tokens: int


@dataclass(frozen=True, slots=True)
class Enriched:
    """`text` is the block of memories followed by the prompt, or the prompt alone where nothing fits.
    `packed` comes best first."""

    text: str
    packed: tuple[Packed, ...]
    tokens: int


def enrich(
    prompt: str,
    rows: Sequence[Row],
    token_budget: int,
    *,
    share: float = 1.0,
    count: Count = count_tokens,
    embed: Embed | None = None,
    shorten: Shorten | None = None,
    notes: Mapping[str, str] | None = None,
    quick: bool = False,
) -> Enriched:
    """Put the memories that fit before the prompt. `rows` come best first; the best stands last.

    The whole keeps to the budget, its block to `share` of it; the prompt is always there, uncut. The other
    arguments are those of `packing.pack`.
    """
    prompt = strip_memory(prompt)
    asked = count(prompt)
    room = min(int(token_budget * share), token_budget - asked)
    block, packed = memory_block(
        prompt,
        rows,
        room,
        count=count,
        embed=embed,
        shorten=shorten,
        notes=notes,
        before=f"\n\n{prompt}",
        quick=quick,
    )
    if not packed:
        return Enriched(prompt, (), asked)
    text = f"{block}\n\n{prompt}"
    return Enriched(text, packed, count(text))


def memory_block(
    query: str,
    rows: Sequence[Row],
    tokens: int,
    *,
    count: Count = count_tokens,
    embed: Embed | None = None,
    shorten: Shorten | None = None,
    notes: Mapping[str, str] | None = None,
    before: str = "",
    quick: bool = False,
) -> tuple[str, tuple[Packed, ...]]:
    """The fenced block alone, for whoever puts it elsewhere than before the prompt, and what is in it, best
    first; both empty where nothing fits.

    `before` is the text it will stand before: it adds no more than `tokens` to that.
    """
    room = tokens - count(f"{fenced('')}\n\n")
    entries = pack(query, rows, room, count=count, embed=embed, shorten=shorten, notes=notes, quick=quick)
    beside = count(before) if before else 0
    while entries and count(_block(entries) + before) > tokens + beside:
        entries.pop()
    if not entries:
        return "", ()
    return _block(entries), tuple(Packed(each.row, count(each.text)) for each in entries)


def _block(entries: Sequence[Entry]) -> str:
    return fenced(joined(entries))
