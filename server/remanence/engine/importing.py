"""Imports as jobs: every file of a source, batch by batch, each batch durable before the next.

With each batch goes, in the same transaction, how far the job is. One that a crash cut short goes on there:
what was stored is read again (an exchange's name may depend on those before it in its file), but it is not
redacted, hashed and looked up again, which is nearly all the work.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from remanence.engine.capturing import clean, storable
from remanence.engine.foreground import step_aside
from remanence.engine.jobs import Control
from remanence.engine.messages import SourceState
from remanence.engine.verbs import EngineError, invalid
from remanence.memory.exchange import Exchange
from remanence.memory.progress_records import ProgressRecords
from remanence.memory.store import Candidate, Captured, Store
from remanence.sources import SOURCES
from remanence.sources.fingerprint import fingerprint
from remanence.sources.recognise import recognise
from remanence.sources.source import Failure, Source

_BATCH = 64
_LISTED_FOLDERS = 5
_FOUND_SECONDS = 5.0
_POLL_SECONDS = 0.02
_FIGURES = {"stored": "stored", "duplicate": "duplicates", "updated": "updated", "ignored": "ignored"}


@dataclass(frozen=True, slots=True)
class Reading:
    """One file and the source that reads it."""

    source: Source
    path: Path


class Position(msgspec.Struct, frozen=True):
    """How far an import is: so many items of this file, as it then was, are done, and all files before it."""

    path: str
    fingerprint: str
    items: int


_POSITION = msgspec.json.Decoder(Position)  # here and not where it is used: see `parsing`


class Importer:
    """Reads sources into a store. `wake` is called after each batch, for whoever indexes; `is_found` tells
    whether what is stored can be found by its words."""

    def __init__(
        self,
        store: Store,
        records: ProgressRecords,
        wake: Callable[[], None],
        is_found: Callable[[], bool],
    ) -> None:
        self._store = store
        self._records = records
        self._wake = wake
        self._is_found = is_found

    def import_(self, control: Control, source: str | None, path: str | None) -> None:
        """Read one source or one path whole; what is known already counts as duplicates."""
        readings = list(self.find(source, path))
        reached = _position(control)
        names = [storable(str(reading.path)) for reading in readings]
        first = names.index(reached.path) if reached is not None and reached.path in names else 0
        self._read_all(control, readings, first)

    def sync(self, control: Control) -> None:
        """Read what changed in each source that is turned on."""
        records = self._records.sources()
        for name in (
            known.name for known in SOURCES if known.name in records and records[known.name].enabled
        ):
            readings = [reading for reading in self.find(name, None) if self._is_new(reading)]
            self._read_all(control, readings)
            self._records.mark_synced(name)

    def find(self, source: str | None, path: str | None) -> Iterator[Reading]:
        """The files to read. Raises EngineError naming the field that leads nowhere."""
        if source is None and path is None:
            raise invalid("Name a source or a path.", "path")
        chosen = named(source) if source is not None else None
        if path is None:
            assert chosen is not None
            for file in chosen.locate(os.environ, Path.home()):
                yield Reading(chosen, file)
            return
        place = Path(path).expanduser()
        if not place.exists():
            raise invalid(f"path: {place} does not exist.", "path")
        found = 0
        for recognised, file in recognise(place, chosen):
            found += 1
            yield Reading(recognised, file)
        if not found:
            known = ", ".join(known.name for known in SOURCES)
            raise invalid(f"path: nothing in {place} is of a known format ({known}).", "path")

    def _is_new(self, reading: Reading) -> bool:
        known = self._records.fingerprint(reading.source.name, storable(str(reading.path)))
        return known is None or known != fingerprint(reading.path)

    def _read_all(self, control: Control, readings: list[Reading], first: int = 0) -> None:
        sizes = [_size(reading.path) for reading in readings]
        total, done = max(sum(sizes), 1), sum(sizes[:first])
        for reading, size in zip(readings[first:], sizes[first:], strict=True):
            control.report(done / total, f"{reading.source.title}: {storable(reading.path.name)}")
            self._read(control, reading, done / total, size / total)
            done += size
        self._until_found(control)

    def _until_found(self, control: Control) -> None:
        """Whoever sees that it is done asks for what it stored: wait a moment for the words' index."""
        deadline = time.monotonic() + _FOUND_SECONDS
        while not self._is_found() and time.monotonic() < deadline:
            control.report()
            time.sleep(_POLL_SECONDS)

    def _read(self, control: Control, reading: Reading, start: float, share: float) -> None:
        before, name = fingerprint(reading.path), storable(str(reading.path))
        reached = _position(control)
        done = (
            reached.items if reached is not None and reached == Position(name, before, reached.items) else 0
        )
        read, failed = 0, False
        for batch in _batches(reading.source.read(reading.path)):
            failed |= any(isinstance(item, Failure) and item.passing for item in batch)
            read += len(batch)
            if read > done:
                self._store_batch(control, batch, reading.path, Position(name, before, read))
                self._wake()
            # Readers are streams without a length: approach the file's share without passing it.
            control.report(start + share * read / (read + 200))
        if before and not failed:  # else the next sync tries again
            self._records.put_fingerprint(reading.source.name, name, before)

    def _store_batch(
        self, control: Control, batch: list[Exchange | Failure], path: Path, reached: Position
    ) -> None:
        candidates: list[Candidate] = []
        name = storable(path.name)
        for item in batch:
            if isinstance(item, Failure):
                control.fail_one(f"{name}, {item.where}: {item.reason}")
                continue
            control.figures["read"] += 1
            step_aside()
            try:
                cleaned = clean(replace(item, origin=item.origin or str(path)), self._store.identity_key)
            except EngineError as error:
                control.fail_one(f"{name}: {error.message}")
            else:
                candidates.append(cleaned.candidate)
                if cleaned.redactions:
                    control.figures["redactions"] += len(cleaned.redactions)

        def count(connection: sqlite3.Connection, captured: list[Captured]) -> None:
            for one in captured:
                control.figures[_FIGURES[one.outcome]] += 1
                if one.outcome == "ignored" and one.reason:
                    control.figures[f"ignored: {one.reason}"] += 1
            control.reached(connection, msgspec.json.encode(reached).decode())

        self._store.capture(candidates, count)


def _position(control: Control) -> Position | None:
    """Where this job left off, if it was interrupted; None also for another version's words."""
    try:
        return _POSITION.decode(control.record.position) if control.record.position else None
    except msgspec.DecodeError:
        return None


def named(source: str) -> Source:
    """The source of this name. Raises EngineError listing those there are."""
    for known in SOURCES:
        if known.name == source:
            return known
    names = ", ".join(known.name for known in SOURCES)
    raise invalid(f"source: there is no source {source!r}; known are {names}.", "source")


def source_states(records: ProgressRecords) -> list[SourceState]:
    """Every source: whether the user turned it on, and what its tool has on this machine."""
    known = records.sources()
    states: list[SourceState] = []
    for source in SOURCES:
        files = source.locate(os.environ, Path.home())
        record = known.get(source.name)
        states.append(
            SourceState(
                name=source.name,
                title=source.title,
                enabled=record is not None and record.enabled,
                found=len(files),
                locations=sorted({str(file.parent) for file in files})[:_LISTED_FOLDERS],
                last_synced_at=record.last_synced_at if record else None,
            )
        )
    return states


def _batches(items: Iterable[Exchange | Failure]) -> Iterator[list[Exchange | Failure]]:
    batch: list[Exchange | Failure] = []
    for item in items:
        batch.append(item)
        if len(batch) >= _BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def _size(path: Path) -> int:
    try:
        return path.stat().st_size if path.is_file() else 1
    except OSError:
        return 1
