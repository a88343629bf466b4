"""aider: `.aider.chat.history.md`, every session of a repository appended to one Markdown file.

Grammar as aider/io.py writes it (Aider-AI/aider@5dc9490b): what the user typed is a run of `#### `
lines after a blank one, what aider says are `> ` lines, and both end in two spaces; everything else
is the model's. Histories whose trailing spaces an editor removed are read by code fences instead.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from remanence.memory.timestamps import to_ms
from remanence.sources.cleaning import drop_thinking
from remanence.sources.recognising import head_text
from remanence.sources.source import Failure, Item, Source
from remanence.sources.text_files import LONGEST, Line, lines
from remanence.sources.turns import Occurrences, Turn, exchange_of, final_answer

_NAME = "aider"
_FILE = ".aider.chat.history.md"
_START = re.compile(r"^# aider chat started at (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)\s*")
_ANY_START = re.compile(_START.pattern, re.MULTILINE)
_MODEL = re.compile(r"> (?:Main model|Architect model|Models?): ([\w./@:+-]+)")
_COMMAND = re.compile(r"/(ask|code|architect)(?:\s+|$)")
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_CODE = re.compile(r"(`{3,}|<(source|code|pre|codeblock|sourcecode)>)")  # aider's own choice of fences
_THINKING = re.compile(r"<(thinking-content-[0-9a-f]{32})>")
_THINKING_RULER, _ANSWER_RULER = "► **THINKING**", "► **ANSWER**"

Speaker = Literal["user", "tool", "model"]


@dataclass(frozen=True, slots=True)
class Block:
    """Neighbouring lines of one speaker, as they stand in the file."""

    speaker: Speaker
    lines: tuple[str, ...]


def locate(environ: Mapping[str, str], home: Path) -> list[Path]:
    """aider keeps no register of repositories: the file it was told to use, and the home folder's."""
    named = environ.get("AIDER_CHAT_HISTORY_FILE")
    candidates = ([Path(named).expanduser()] if named else []) + [home / _FILE]
    found = {path: None for path in candidates if path.is_absolute() and path.is_file()}
    return list(found)


def read(path: Path) -> Iterator[Item]:
    """The exchanges of every session. Memory is bounded by the longest session."""
    occurrences = Occurrences()
    workspace = str(path.resolve().parent) if path.name == _FILE else None
    for session in _sessions(path):
        if isinstance(session, Failure):
            yield session
            continue
        started, said = session
        asked_at = to_ms(started)
        for index, turn in enumerate(_turns(blocks(said))):
            # aider dates sessions only; a millisecond a turn keeps them in order.
            turn.asked_at = asked_at + index if asked_at is not None else None
            turn.workspace = workspace
            yield exchange_of(
                turn,
                tool=_NAME,
                conversation_id=started,
                title=None,
                occurrences=occurrences,
                answer=_best(turn.groups),
            )


def recognises(path: Path, head: bytes) -> bool:
    return path.name == _FILE or _ANY_START.search(head_text(head)) is not None


def blocks(said: list[str]) -> Iterator[Block]:
    """Part the lines of one session by speaker. What says nothing but blank lines is left out."""
    speakers = _marked(said) if any(_is_marked(line) for line in said) else _fenced(said)
    run: list[str] = []
    current: Speaker = "model"
    asked = False  # whether the line before was the user's: a blank line parts two questions
    for line, speaker in zip(said, speakers, strict=True):
        parted = speaker == "user" and current == "user" and not asked
        if (speaker != current or parted) and (line.strip() or speaker != "model"):
            if any(part.strip() for part in run):
                yield Block(current, tuple(run))
            run, current = [], speaker
        asked = speaker == "user"
        if asked or speaker == current:
            run.append(line)
    if any(part.strip() for part in run):
        yield Block(current, tuple(run))


def _sessions(path: Path) -> Iterator[tuple[str, list[str]] | Failure]:
    """Each session's start and lines. What stands before the first header belongs to none."""
    started: str | None = None
    said: list[str] = []
    size = 0
    for line in lines(path):
        if isinstance(line, Failure):
            yield line
            continue
        if match := _START.fullmatch(line.text):
            if started is not None:
                yield started, said
            started, said, size = match[1], [], 0
        elif started is not None:
            size += len(line.text)
            if size > LONGEST:
                yield _too_long(line)
                started = None
            else:
                said.append(line.text)
    if started is not None:
        yield started, said


def _too_long(line: Line) -> Failure:
    return Failure(f"line {line.number}", f"A session is longer than {LONGEST // 2**20} million characters.")


def _is_marked(line: str) -> bool:
    return line.startswith(("#### ", "> ")) and line.endswith("  ")


def _marked(said: list[str]) -> Iterator[Speaker]:
    """Speakers where aider's trailing spaces are intact: a line without them is not aider's.

    Output of several lines is written as one `> ` line, bare lines, and the two spaces at the end
    of the last.
    """
    speaker: Speaker = "model"
    before = ""
    open_output = False
    for index, line in enumerate(said):
        ended = line.endswith("  ")
        follows = speaker != "model" and bool(before)
        if line.startswith("#### ") and ended and (not before.strip() or speaker == "user"):
            speaker, open_output = "user", False
        elif line.startswith("> ") and ended:
            speaker, open_output = "tool", False
        elif open_output:
            speaker, open_output = "tool", not ended
        elif line.startswith("> ") and (follows or _starts_output(said, index)):
            speaker, open_output = "tool", True
        else:
            speaker = "model"
        before = line
        yield speaker


def _starts_output(said: list[str], index: int) -> bool:
    """Whether bare lines lead from here to one with the two spaces: a quotation would end in a blank."""
    for at in range(index + 1, len(said)):
        line = said[at]
        if not line.strip() or line.startswith(("> ", "#### ")):
            return False
        if line.endswith("  "):
            return True
    return False


def _fenced(said: list[str]) -> Iterator[Speaker]:
    """Speakers where the trailing spaces are gone: what stands in a code fence is the model's."""
    fence = ""
    for line in said:
        match = _FENCE.match(line)
        if match and not fence:
            fence = match[1]
        elif fence and match and match[1].startswith(fence) and not line.strip(" `~"):
            fence = ""
        elif not fence and re.match(r"####(?: |$)", line):
            yield "user"
            continue
        elif not fence and re.match(r">(?: |$)", line):
            yield "tool"
            continue
        yield "model"


def _turns(session: Iterator[Block]) -> Iterator[Turn]:
    """Questions with what the model said to each; several blocks where aider made it try again."""
    turn: Turn | None = None
    model: str | None = None
    for block in session:
        if block.speaker == "tool":
            for line in block.lines:
                if match := _MODEL.match(line):
                    model = match[1]
        elif block.speaker == "model":
            if turn is not None and (answer := _answer("\n".join(block.lines))):
                if turn.groups[-1]:  # aider spoke in between: an edit or a check failed
                    turn.groups.append([])
                turn.say(answer, None, model)
        else:
            question, tags = _question(block)
            # `/ask` is logged twice, as a command and as the question it carries.
            if turn is not None and not (not any(turn.groups) and turn.question == question):
                yield turn
            elif turn is not None:
                tags = turn.tags
            turn = Turn(question, tags=tags) if question else None
    if turn is not None:
        yield turn


def _question(block: Block) -> tuple[str, tuple[str, ...]]:
    """What the user asked of the model; empty for commands to aider and to the shell."""
    typed = [line[5:].rstrip() for line in block.lines]
    question = "\n".join("" if line == "<blank>" else line for line in typed).strip()
    if match := _COMMAND.match(question):
        return question[match.end() :].strip(), (f"cmd:{match[1]}",)
    return ("" if question.startswith(("/", "!")) else question), ()


def _answer(text: str) -> str:
    """Without reasoning, which aider logs raw or between two rulers."""
    while match := _THINKING.search(text):
        closing = f"</{match[1]}>"
        end = text.find(closing, match.end())
        text = text[: match.start()] + (text[end + len(closing) :] if end >= 0 else "")
    start, end = text.find(_THINKING_RULER), text.find(_ANSWER_RULER)
    if 0 <= start < end:
        before = text[:start].rstrip("- \n")
        text = f"{before}\n{text[end + len(_ANSWER_RULER) :]}"
    return drop_thinking(text.strip())


def _best(groups: list[list[str]]) -> str:
    """The last of several replies, or all of them where it is nothing but edits."""
    last = "\n\n".join(groups[-1])
    return final_answer(groups if _explains(last) else [[text for group in groups for text in group]])


def _explains(text: str) -> bool:
    """Whether a line outside the code is a sentence rather than the name of a file."""
    code = ""
    for line in text.split("\n"):
        if not code and (match := _CODE.match(line)):
            code = match[1] if match[1].startswith("`") else f"</{match[2]}>"
        elif code and line.startswith(code):
            code = ""
        elif not code and len(line.split()) > 2:
            return True
    return False


AIDER = Source(_NAME, "aider", locate, read, recognises)
