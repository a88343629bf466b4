"""aider's `.aider.chat.history.md`: `#### ` lines are the user's, `> ` lines the tool's, the rest answers.

Grammar as in aider/io.py (Aider-AI/aider@5dc9490b); a `> ` or `#### ` line inside a code fence is content.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

from remanence.lsp.fences import fenced_lines
from remanence.lsp.turns import Turn

_START = re.compile(r"^# aider chat started at (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)\s*$")
_USER = re.compile(r"^####(?: |$)")
_TOOL = re.compile(r"^>(?: |$)")
_MODEL = re.compile(r"^> (?:Main model|Model|Architect model):\s*(\S+)", re.MULTILINE)
_PROMPT_COMMAND = re.compile(r"^/(?:ask|code|architect)\s+")
_THINKING = re.compile(r"<thinking-content-([0-9a-f]{32})>.*?</thinking-content-\1>", re.DOTALL)
_RENDERED_THINKING = re.compile(
    r"^-*\s*► \*\*THINKING\*\*\s*$.*?^-*\s*► \*\*ANSWER\*\*\s*$", re.DOTALL | re.MULTILINE
)


@dataclass(frozen=True, slots=True)
class _Segment:
    """Neighbouring lines of one speaker: `user`, `tool` or `answer`."""

    speaker: str
    text: str


def is_aider_history(lines: Sequence[str]) -> bool:
    return any(_START.match(line) for line in lines)


def aider_turns(lines: Sequence[str]) -> Iterator[Turn]:
    """The exchanges of every session in order, sides possibly empty."""
    starts = [(at, match.group(1)) for at, line in enumerate(lines) if (match := _START.match(line))]
    ends = [at for at, _ in starts[1:]] + [len(lines)]
    for (start, session), end in zip(starts, ends, strict=True):
        yield from _session(_segments(lines[start + 1 : end]), session, is_last=end == len(lines))


def _session(segments: Sequence[_Segment], session: str, *, is_last: bool) -> Iterator[Turn]:
    asked_at = _local_ms(session)
    model: str | None = None
    question = ""
    answers: list[str] = []
    told = False  # whether the tool spoke after the last answer: the answer is over then

    def turn(finished: bool) -> Turn:
        return Turn(
            question=question,
            answer=_answer(answers),
            tool="aider",
            session=session,
            finished=finished,
            model=model,
            asked_at=asked_at,
        )

    for segment in segments:
        if segment.speaker == "user":
            yield turn(True)
            question, answers, told = _question(segment.text), [], False
        elif segment.speaker == "tool":
            told = True
            for match in _MODEL.finditer(segment.text):
                model = match.group(1)
        else:
            answers.append(segment.text)
            told = False
    yield turn(told or not is_last)


def _segments(lines: Sequence[str]) -> list[_Segment]:
    """Lines grouped by speaker; groups of blank lines only are nobody's."""
    fenced = fenced_lines([line if _TOOL.match(line) is None else "" for line in lines])

    def speaker(at: int) -> str:
        if fenced[at]:
            return "answer"
        if _USER.match(lines[at]):
            return "user"
        return "tool" if _TOOL.match(lines[at]) else "answer"

    groups = ((who, [lines[at] for at in ats]) for who, ats in groupby(range(len(lines)), key=speaker))
    return [_Segment(who, "\n".join(said)) for who, said in groups if any(line.strip() for line in said)]


def _question(text: str) -> str:
    """What the user typed; a command of aider's other than a way to ask is no question."""
    lines = [line[5:].rstrip() for line in text.split("\n")]
    asked = "\n".join("" if line == "<blank>" else line for line in lines).strip()
    if asked.startswith("/") and _PROMPT_COMMAND.match(asked) is None:
        return ""
    return _PROMPT_COMMAND.sub("", asked)


def _answer(blocks: Sequence[str]) -> str:
    """Retries leave several blocks: the last one that says something in words, or all of them."""
    texts = [_RENDERED_THINKING.sub("", _THINKING.sub("", block)).strip() for block in blocks]
    texts = [text for text in texts if text]
    if not texts:
        return ""
    lines = texts[-1].split("\n")
    has_words = any(
        any(char.isalpha() for char in line)
        for line, fenced in zip(lines, fenced_lines(lines), strict=True)
        if not fenced
    )
    return texts[-1] if has_words else "\n\n".join(texts)


def _local_ms(stamp: str) -> int | None:
    """aider writes the local time without an offset."""
    try:
        return int(datetime.strptime(stamp, "%Y-%m-%d %H:%M:%S").astimezone().timestamp() * 1000)
    except (ValueError, OverflowError, OSError):
        return None
