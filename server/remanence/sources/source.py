"""The one shape every source has: where its conversations lie, how they are read, how they look."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from remanence.memory.exchange import Exchange


@dataclass(frozen=True, slots=True)
class Failure:
    """A record that could not be read. `reason` is a sentence without anything of the conversation.

    `passing`: reading the very same file again may succeed (it was locked, or half written).
    """

    where: str
    reason: str
    passing: bool = False


Item = Exchange | Failure


@dataclass(frozen=True, slots=True)
class Source:
    """A tool whose conversations can be imported. All three functions only ever read.

    `locate(environ, home)` lists the conversation files that exist where the tool leaves them.
    `read(path)` yields the exchanges of one file lazily, in the order they were asked; what cannot
    be read becomes a Failure, nothing is raised. `recognises(path, head)` tells from the name and
    the first bytes (decompressed) whether this source reads the file.
    """

    name: str
    title: str
    locate: Callable[[Mapping[str, str], Path], list[Path]]
    read: Callable[[Path], Iterator[Item]]
    recognises: Callable[[Path, bytes], bool]


def nowhere(_environ: Mapping[str, str], _home: Path) -> list[Path]:
    """The `locate` of a format that has no place of its own: it is imported by path."""
    return []


def files_under(root: Path, pattern: str) -> list[Path]:
    """The files below a folder that match a glob, in a stable order; none where it cannot be read."""
    try:
        return sorted(path for path in root.glob(pattern) if path.is_file())
    except OSError:
        return []
