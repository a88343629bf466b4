"""A memory as it stands in a prompt: when it was, whether it still holds, and what was chosen of it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from remanence.memory.extracts import Piece
from remanence.memory.fence import harmless
from remanence.memory.rows import Row

LEFT_OUT = "…"
_FENCES = re.compile(r"^[^\S\n]{0,3}(`{3,}|~{3,})", re.M)
_BACKTICKS = re.compile(r"`{3,}")


@dataclass(frozen=True, slots=True)
class Entry:
    """A memory and its text in the prompt: its heading, all of its pieces, and which of them are kept."""

    row: Row
    head: str
    text: str
    found: tuple[Piece, ...]
    kept: tuple[bool, ...]

    @property
    def whole(self) -> bool:
        return all(self.kept)


def heading(row: Row, note: str = "") -> str:
    """When, with which tool and model, and whether it still holds; one line."""
    origin = " · ".join(" ".join(part.split()) for part in (_day(row), row.tool, row.model) if part)
    state = "superseded by a newer answer" if row.superseded_by else note
    return f"[{origin}]" + (f" ({state})" if state else "")


def entry(
    row: Row, head: str, found: Sequence[Piece], kept: Sequence[bool], summary: str | None = None
) -> Entry:
    """The memory with those of its pieces that are kept; "…" where others stood. A `summary` stands for the
    prose of its answer, and says so."""
    whole = all(kept) and not any(piece.after_cut for piece in found)
    sides: list[str] = []
    for name, text, in_answer in (("Question", row.question, False), ("Answer", row.answer, True)):
        side = [i for i, piece in enumerate(found) if piece.in_answer == in_answer]
        said = _closed(text) if whole else extract([found[i] for i in side], [kept[i] for i in side])
        if in_answer and summary is not None:
            code = [i for i in side if found[i].block is not None and kept[i]]
            said = " ".join(summary.split()) + extract([found[i] for i in code], [True] * len(code))
            name = "Answer, shortened"
        if said:
            sides.append(f"{name}:{'' if said.startswith(chr(10)) else ' '}{said}")
    return Entry(row, head, harmless("\n".join((head, *sides))), tuple(found), tuple(kept))


def extract(found: Sequence[Piece], kept: Sequence[bool]) -> str:
    """The kept pieces of one side in their order, code in fences of its own; "…" where others stood."""
    said: list[str] = []
    block: int | None = None
    fence = ""
    skipped = after_code = False
    for piece, is_kept in zip(found, kept, strict=True):
        if not is_kept:
            skipped = True
            continue
        skipped = skipped or piece.after_cut
        goes_on = block is not None and piece.block == block
        if block is not None and not goes_on:
            said.append(f"\n{fence}")
            after_code = True
        if skipped:
            said.append(f"\n{LEFT_OUT}" if goes_on or after_code else f" {LEFT_OUT}" if said else LEFT_OUT)
        if goes_on:
            said.append(f"\n{piece.text}")
        elif piece.block is not None:
            fence = _fence([each.text for each in found if each.block == piece.block])
            said.append(f"\n{fence}{piece.language}\n{piece.text}")
        elif said:
            gap = "\n" if after_code or "\n" in piece.gap else " " if piece.gap or skipped else ""
            said.append(gap + piece.text)
        else:
            said.append(piece.text)
        block, skipped, after_code = piece.block, False, False
    if block is not None:
        said.append(f"\n{fence}")
    if skipped:
        said.append(f"\n{LEFT_OUT}" if block is not None else f" {LEFT_OUT}" if said else LEFT_OUT)
    return "".join(said)


def _closed(text: str) -> str:
    """The text stripped, and a code fence that it leaves open closed."""
    text = text.strip()
    marks: list[str] = _FENCES.findall(text)
    return f"{text}\n{marks[-1]}" if len(marks) % 2 else text


def _fence(code: Sequence[str]) -> str:
    """One that the code does not close."""
    longest = max((len(run) for text in code for run in _BACKTICKS.findall(text)), default=2)
    return "`" * (longest + 1)


def _day(row: Row) -> str:
    moment = row.asked_at or row.answered_at or row.created_at
    return datetime.fromtimestamp(moment / 1000, UTC).strftime("%Y-%m-%d") if moment else ""
