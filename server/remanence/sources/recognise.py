"""Which source reads a path the user names: a file, a ZIP, or a folder searched for both."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from remanence.sources import SOURCES
from remanence.sources.source import Source
from remanence.sources.text_files import head

_DEPTH = 4  # folders below the one named: as deep as Codex files its sessions by date
_SUFFIXES = (".json", ".jsonl", ".md", ".zip", ".gz", ".zst")
_SKIPPED_FOLDERS = {"node_modules", ".git", "__MACOSX", "__pycache__", ".venv", "site-packages"}
_SECRET_FILES = {"auth.json", "credentials.json", ".credentials.json", "secrets.json"}


def recognise(place: Path, chosen: Source | None = None) -> Iterator[tuple[Source, Path]]:
    """The files at `place` that a source reads, each with that source, in a stable order.

    A file with a `chosen` source is taken at the user's word; in a folder, what does not look like
    it is passed over. Folders are searched four levels deep, without following links.
    """
    if place.is_file():
        source = chosen or _source_of(place, SOURCES)
        if source is not None:
            yield source, place
        return
    for path in _candidates(place):
        source = _source_of(path, (chosen,) if chosen is not None else SOURCES)
        if source is not None:
            yield source, path


def _source_of(path: Path, sources: tuple[Source, ...]) -> Source | None:
    start = head(path)
    return next((source for source in sources if source.recognises(path, start)), None)


def _candidates(place: Path) -> Iterator[Path]:
    for folder, folders, names in os.walk(place):
        depth = len(Path(folder).relative_to(place).parts)
        kept = sorted(name for name in folders if name not in _SKIPPED_FOLDERS)
        folders[:] = kept if depth < _DEPTH else []
        for name in sorted(names):
            path = Path(folder, name)
            if name.lower().endswith(_SUFFIXES) and name not in _SECRET_FILES and path.is_file():
                yield path
