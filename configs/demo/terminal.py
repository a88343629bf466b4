"""What the demo prints: steps, progress in place, Markdown as an editor's hover frames it."""

from __future__ import annotations

import os
import re
import shutil
import sys
import textwrap
import time
from collections.abc import Sequence

_STYLES = {"bold": "1", "dim": "2", "green": "32", "yellow": "33", "blue": "34", "cyan": "36"}
_ESCAPE = re.compile(r"\\([!-/:-@\[-`{-~])")
_LINK = re.compile(r"\[((?:[^\]\\]|\\.)*)\]\([^)\s]*(?: \"[^\"]*\")?\)")
_BAR = 24
_PLAIN_EVERY_S = 5.0  # how often progress is repeated where lines cannot be overwritten


class Terminal:
    """Writes to standard output. Colour only on a terminal, and never where NO_COLOR is set."""

    def __init__(self) -> None:
        self._live = sys.stdout.isatty()
        self._colour = self._live and not os.environ.get("NO_COLOR")
        self.width = min(100, shutil.get_terminal_size((100, 24)).columns)
        self._last_progress = ("", 0.0)

    def styled(self, text: str, style: str) -> str:
        return f"\x1b[{_STYLES[style]}m{text}\x1b[0m" if self._colour else text

    def step(self, number: int, title: str) -> None:
        print(f"\n{self.styled(f'[{number}] {title}', 'bold')}", flush=True)

    def line(self, text: str, style: str | None = None) -> None:
        print("    " + (self.styled(text, style) if style else text), flush=True)

    def done(self, text: str, seconds: float) -> None:
        """A finished step and how long it took."""
        print(f"    {self.styled('✓', 'green')} {text} {self.styled(duration(seconds), 'dim')}", flush=True)

    def progress(self, share: float, text: str) -> None:
        """A bar that is drawn over itself; in a log, a line when the text changes or time has passed."""
        filled = round(_BAR * min(1.0, max(0.0, share)))
        bar = "█" * filled + "░" * (_BAR - filled)
        line = f"{bar} {share:4.0%}  {text}"
        if self._live:
            print(f"\r\x1b[K    {line[: self.width - 6]}", end="", flush=True)
            return
        phase, at = re.sub(r"[\d.,%]+", "", text), time.monotonic()
        if phase != self._last_progress[0] or at - self._last_progress[1] >= _PLAIN_EVERY_S:
            self._last_progress = (phase, at)
            print(f"    {line}", flush=True)

    def end_progress(self) -> None:
        """Takes the bar away, so that the next line stands in its place."""
        self._last_progress = ("", 0.0)
        if self._live:
            print("\r\x1b[K", end="", flush=True)

    def framed(self, title: str, text: str, limit: int = 40) -> None:
        """Plain text in a frame, wrapped, cut after `limit` lines with a word about the rest."""
        self._frame(title, [(line, None) for line in text.splitlines()], limit)

    def markdown(self, title: str, text: str, limit: int = 40) -> None:
        """Markdown in a frame as an editor shows it: no escapes, strong paragraphs in bold, links by name."""
        lines: list[tuple[str, str | None]] = []
        fenced = False
        for line in text.splitlines():
            if line.lstrip().startswith("```"):
                fenced = not fenced
                lines.append((line, "dim"))
            elif fenced:
                lines.append((line, "cyan"))
            elif line == "---":
                lines.append(("─" * 12, "dim"))
            else:
                strong = line.startswith("**") and line.endswith("**")
                shown = _LINK.sub(r"\1", line.replace("**", ""))
                lines.append((_ESCAPE.sub(r"\1", shown), "bold" if strong else None))
        self._frame(title, lines, limit)

    def _frame(self, title: str, lines: Sequence[tuple[str, str | None]], limit: int) -> None:
        inner = self.width - 8
        parts = [(part, style) for line, style in lines for part in _wrapped(line, inner)]
        if len(parts) > limit + 1:
            parts = [*parts[:limit], (f"… {len(parts) - limit} more lines", "dim")]
        edge = self.styled("│", "blue")
        print(f"    {self.styled(f'╭ {title} ' + '─' * max(2, inner - len(title) - 1), 'blue')}")
        for part, style in parts:
            print(f"    {edge} {self.styled(part, style) if style else part}")
        print(f"    {self.styled('╰' + '─' * (inner + 2), 'blue')}", flush=True)

    def table(self, head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Columns as wide as their widest cell, all but the first aligned to the right."""
        widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
        for index, row in enumerate((head, *rows)):
            cells = [row[0].ljust(widths[0])]
            cells += [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
            self.line("  ".join(cells), "dim" if index == 0 else None)


def duration(seconds: float) -> str:
    """Milliseconds below a second, seconds above."""
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


def _wrapped(line: str, width: int) -> list[str]:
    if len(line) <= width:
        return [line]
    indent = line[: len(line) - len(line.lstrip())]
    return textwrap.wrap(line, width, subsequent_indent=indent, drop_whitespace=True) or [""]
