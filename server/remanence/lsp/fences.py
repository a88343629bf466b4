"""Fenced code blocks of Markdown (CommonMark §4.5), as far as this room needs them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import islice

_OPENING = re.compile(r"^ {0,3}(`{3,}|~{3,})[ \t]*([^`]*)$")
_CLOSING = re.compile(r"^ {0,3}(`{3,}|~{3,})[ \t]*$")


def fenced_lines(lines: Sequence[str]) -> list[bool]:
    """For each line whether it belongs to a fenced block, its fences included.

    A fence that is never closed hides nothing but itself: half-written answers have those.
    """
    fenced = [False] * len(lines)
    closings = [(at, match.group(1)) for at, line in enumerate(lines) if (match := _CLOSING.match(line))]
    unclosed: set[str] = set()
    next_closing = 0
    end = -1
    for at, line in enumerate(lines):
        opening = _OPENING.match(line) if at > end else None
        if opening is None:
            continue
        mark = opening.group(1)
        fenced[at] = True
        while next_closing < len(closings) and closings[next_closing][0] <= at:
            next_closing += 1
        if mark in unclosed:
            continue
        found = next((c for c, other in islice(closings, next_closing, None) if other.startswith(mark)), None)
        if found is None:
            unclosed.add(mark)
            continue
        end = found
        fenced[at : end + 1] = [True] * (end + 1 - at)
    return fenced


def open_fence(lines: Sequence[str], line: int) -> str | None:
    """The info string of the fenced block that `line` lies in, closed or still being written; None
    outside of one."""
    mark, info = "", ""
    for text in lines[:line]:
        text = text.rstrip("\r\n")
        if not mark:
            if opening := _OPENING.match(text):
                mark, info = opening.group(1), opening.group(2).strip()
        elif (closing := _CLOSING.match(text)) and closing.group(1).startswith(mark):
            mark = ""
    return info if mark else None


def fence_for(code: str) -> str:
    """A fence long enough to hold `code`, whatever backticks are in it."""
    longest = max((len(run) for run in re.findall(r"`+", code)), default=0)
    return "`" * max(3, longest + 1)
