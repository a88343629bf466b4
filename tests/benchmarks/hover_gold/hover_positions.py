"""The hover gold set: places in source files, and which exchanges are worth showing there.

positions.jsonl holds one place a line: file, line (from 1), word, nth (which of several such words on the
line), kind (what a developer would call it) and relevant (external ids of exchanges; none where hover
should stay silent). Relevance was judged before anything was measured.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from remanence.lsp.position import split_lines

HERE = Path(__file__).parent
FILES = HERE / "files"
POSITIONS = HERE / "positions.jsonl"
DISTRACTORS = HERE / "distractors.jsonl"
KINDS = ("identifier", "call", "import", "error", "comment", "prose")
_LANGUAGES = {
    ".py": "python", ".ts": "typescript", ".tsx": "typescriptreact", ".go": "go", ".rs": "rust",
    ".sql": "sql", ".yml": "yaml", ".yaml": "yaml", ".sh": "shellscript", ".lua": "lua",
    ".md": "markdown", ".log": "log", ".txt": "plaintext", ".conf": "conf", "": "dockerfile",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Position:
    """One place to hover over."""

    file: str
    line: int
    word: str
    nth: int
    kind: str
    relevant: frozenset[str]

    @property
    def lines(self) -> list[str]:
        return lines_of(self.file)

    @property
    def language_id(self) -> str:
        return _LANGUAGES[Path(self.file).suffix]

    @property
    def column(self) -> int:
        """The middle of the word. Raises ValueError where the line does not hold it."""
        text = self.lines[self.line - 1]
        starts = [found.start() for found in re.finditer(rf"(?<!\w){re.escape(self.word)}(?!\w)", text)]
        if len(starts) < self.nth:
            raise ValueError(f"{self.file}:{self.line} does not hold {self.word!r} {self.nth} times")
        return starts[self.nth - 1] + len(self.word) // 2

    def __str__(self) -> str:
        return f"{self.file}:{self.line} {self.word}"


@cache
def lines_of(file: str) -> list[str]:
    return list(split_lines((FILES / file).read_text(encoding="utf-8")))


def positions() -> list[Position]:
    """Every place, in the order of the file."""
    return [_position(each) for each in read_jsonl(POSITIONS)]


def _position(each: dict[str, Any]) -> Position:
    return Position(
        file=each["file"],
        line=each["line"],
        word=each["word"],
        nth=each.get("nth", 1),
        kind=each["kind"],
        relevant=frozenset(each["relevant"]),
    )


def read_jsonl(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
