"""The adapters of one data directory: which there are, what each learned, and which is on.

Rows in the database, and a folder for each: the PEFT adapter, its manifest and its report. Of those of one
base at most one is on for each purpose. What was on before is kept in order, so that it can be taken back.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec

from remanence.memory.database import Database
from remanence.memory.fact import Fact
from remanence.training.dataset import Manifest
from remanence.training.recipe import Purpose
from remanence.training.report import Report

State = Literal["trained", "refused", "active", "inactive", "outdated"]
"""trained: never on yet. refused: by the gate, and not on. outdated: something that it learned was forgotten,
and it is not on. The database knows trained, active and inactive; the rest follows."""

_WHY_NOT = {
    "refused": "did not pass its evaluation",
    "outdated": "learned something that was forgotten since",
}


class AdapterError(Exception):
    """An adapter cannot be used so; the message says why, in words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Adapter:
    """`base` is the Hugging Face folder it was trained on, `recipe` the recipe as JSON. `parent` is the
    adapter that its training went on from, or, with `merged_with`, one of the two that it was merged of.
    `is_outdated`: something that it learned was forgotten, whether it is on or not."""

    id: str
    base: str
    base_hash: str
    recipe_name: str
    recipe: str
    manifest: Manifest
    report: Report | None
    parent: str | None
    state: State
    created_at: int
    is_outdated: bool = False
    merged_with: str | None = None

    @property
    def is_active(self) -> bool:
        return self.state == "active"

    @property
    def purpose(self) -> Purpose:
        return self.manifest.purpose

    @property
    def learned(self) -> list[str]:
        """The ids of the facts it learned, its parent's among them."""
        return [*self.manifest.facts, *self.manifest.known]

    @property
    def parents(self) -> tuple[str, ...]:
        """None, the one that it went on from, or the two that it was merged of."""
        return tuple(each for each in (self.parent, self.merged_with) if each is not None)


class AdapterRegistry:
    """Safe to use from several threads. Writing raises StoreError."""

    def __init__(self, database: Database, folder: Path) -> None:
        self._database = database
        self._folder = folder

    def folder(self, adapter: str) -> Path:
        """Where its files are."""
        return self._folder / adapter

    def add(self, adapter: Adapter, facts: Sequence[Fact], trained: Path) -> None:
        """Take in what was trained, its files copied from the folder `trained`; adding it again replaces it.

        It is not on yet, and marked at once where one of its facts was forgotten meanwhile. Raises OSError.
        """
        here = self.folder(adapter.id)
        here.mkdir(parents=True, exist_ok=True, mode=0o700)
        for file in trained.iterdir():
            if file.is_file():
                shutil.copyfile(file, here / file.name)
        (here / "manifest.json").write_bytes(msgspec.json.encode(adapter.manifest) + b"\n")
        pairs = [(adapter.id, fact.id, exchange) for fact in facts for exchange in fact.exchanges]
        if adapter.purpose == "operations":  # it learned to read them word for word, whatever facts they hold
            pairs += [(adapter.id, "", exchange) for exchange in adapter.manifest.exchanges]
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO adapters VALUES (?, ?, ?, ?, ?, ?, ?, ?, 'trained', 0, ?, ?)",
                [
                    adapter.id,
                    adapter.base,
                    adapter.base_hash,
                    adapter.recipe_name,
                    adapter.recipe,
                    msgspec.json.encode(adapter.manifest).decode(),
                    _json(adapter.report),
                    " ".join(adapter.parents) or None,
                    adapter.created_at,
                    adapter.purpose,
                ],
            )
            connection.executemany("INSERT OR IGNORE INTO adapter_facts VALUES (?, ?, ?)", pairs)
            connection.executemany(  # its weights hold what its parents' did, also what holds no longer
                "INSERT OR IGNORE INTO adapter_facts SELECT ?, fact, exchange FROM adapter_facts"
                " WHERE adapter = ?",
                [(adapter.id, parent) for parent in adapter.parents],
            )
            _mark(connection)

    def report(self, adapter: str, report: Report) -> None:
        """Keep what an evaluation found; one that is on stays so."""
        with self._database.transaction() as connection:
            connection.execute("UPDATE adapters SET report = ? WHERE id = ?", [_json(report), adapter])

    def list(self) -> list[Adapter]:
        """The newest first."""
        found = self._database.reader().execute("SELECT * FROM adapters ORDER BY created_at DESC, id")
        return [_adapter(each) for each in found]

    def get(self, adapter: str) -> Adapter:
        """Raises AdapterError where there is none."""
        found = self._database.reader().execute("SELECT * FROM adapters WHERE id = ?", [adapter]).fetchone()
        if found is None:
            raise AdapterError(f"There is no adapter {adapter!r}: `remanence adapters` lists them.")
        return _adapter(found)

    def active(self, base_hash: str, purpose: Purpose = "facts") -> Adapter | None:
        """The one that is on for a base and a purpose."""
        found = (
            self._database.reader()
            .execute(
                "SELECT * FROM adapters WHERE base_hash = ? AND purpose = ? AND state = 'active'",
                [base_hash, purpose],
            )
            .fetchone()
        )
        return _adapter(found) if found is not None else None

    def last_good(self, adapter: Adapter) -> Adapter | None:
        """The nearest one that this was made from and that never learned what was forgotten since; None
        where that is the bare model."""
        known = {each.id: each for each in self.list()}
        waiting = list(adapter.parents)
        while waiting:
            found = known.pop(waiting.pop(0), None)  # it may be deleted
            if found is None or found.base_hash != adapter.base_hash:
                continue
            if not found.is_outdated and found.state != "refused":
                return found
            waiting += found.parents
        return None

    def activate(self, adapter: str, base_hash: str, *, force: bool = False) -> None:
        """Put it on in place of another. `base_hash` is that of the model as it is now.

        Raises AdapterError where it is for another model, or, without `force`, where it should not be on.
        """
        found = self.get(adapter)
        if found.base_hash != base_hash:
            raise AdapterError(
                f"The adapter {adapter} was trained on another model than the one now in {found.base}:"
                " its answers would be noise. Train one on this model."
            )
        why_not = _WHY_NOT.get(found.state, "was not evaluated" if found.report is None else None)
        if why_not is not None and not force:
            raise AdapterError(f"The adapter {adapter} {why_not}: --force activates it anyway.")
        if not (self.folder(adapter) / "adapter_config.json").is_file():
            raise AdapterError(f"The files of the adapter {adapter} are gone: delete it, and train again.")
        with self._database.transaction() as connection:
            if not found.is_active:
                _switch(connection, base_hash, found.purpose, adapter)
                _note_turn(connection, base_hash, found.purpose, adapter)

    def deactivate(self, adapter: str) -> None:
        """Take it off; the bare model answers. Raises AdapterError where it is not on."""
        found = self.get(adapter)
        if not found.is_active:
            raise AdapterError(f"The adapter {adapter} is not active.")
        with self._database.transaction() as connection:
            _switch(connection, found.base_hash, found.purpose, None)
            _note_turn(connection, found.base_hash, found.purpose, None)

    def roll_back(self, base_hash: str, purpose: Purpose = "facts") -> str | None:
        """Put on what was on before, or nothing where that was the bare model; gives its id. Again: what was
        on before that. Raises AdapterError where nothing came before."""
        with self._database.transaction() as connection:
            turns = connection.execute(
                "SELECT turn, t.adapter, a.is_outdated FROM adapter_turns AS t"
                " LEFT JOIN adapters AS a ON a.id = t.adapter WHERE t.base_hash = ? AND t.purpose = ?"
                " ORDER BY turn DESC",
                [base_hash, purpose],
            ).fetchall()
            if not turns:
                raise AdapterError("There is nothing to roll back to: no adapter was activated before.")
            now, *before = turns
            back = next(
                (turn for turn in before if turn["adapter"] != now["adapter"] and not turn["is_outdated"]),
                None,
            )
            to = back["adapter"] if back is not None else None
            connection.execute(
                "DELETE FROM adapter_turns WHERE base_hash = ? AND purpose = ? AND turn > ?",
                [base_hash, purpose, back["turn"] if back is not None else 0],
            )
            _switch(connection, base_hash, purpose, to)
        return to

    def delete(self, adapter: str) -> None:
        """Its rows and its folder. Raises AdapterError where it is on, or there is none."""
        if self.get(adapter).is_active:
            raise AdapterError(f"The adapter {adapter} is active: deactivate it first.")
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM adapters WHERE id = ?", [adapter])
        shutil.rmtree(self.folder(adapter), ignore_errors=True)

    def mark_forgotten(self) -> list[str]:
        """Take off and mark every adapter that learned what is no longer said by any exchange, since one
        that said it was forgotten; the ids of those marked now."""
        with self._database.transaction() as connection:
            return _mark(connection)


def _switch(connection: sqlite3.Connection, base_hash: str, purpose: str, adapter: str | None) -> None:
    connection.execute(
        "UPDATE adapters SET state = 'inactive' WHERE base_hash = ? AND purpose = ? AND state = 'active'",
        [base_hash, purpose],
    )
    if adapter is not None:
        connection.execute("UPDATE adapters SET state = 'active' WHERE id = ?", [adapter])


def _note_turn(connection: sqlite3.Connection, base_hash: str, purpose: str, adapter: str | None) -> None:
    connection.execute(
        "INSERT INTO adapter_turns (base_hash, purpose, adapter) VALUES (?, ?, ?)",
        [base_hash, purpose, adapter],
    )


def _mark(connection: sqlite3.Connection) -> list[str]:
    # by what is gone, not by what was just asked to go: a crash in between leaves nothing unmarked
    found = connection.execute(
        "SELECT DISTINCT a.id, a.base_hash, a.purpose, a.state FROM adapters AS a"
        " JOIN adapter_facts AS l ON l.adapter = a.id WHERE NOT a.is_outdated"
        " AND NOT EXISTS (SELECT 1 FROM exchanges AS e WHERE e.id = l.exchange)"
        " AND NOT EXISTS (SELECT 1 FROM facts AS f WHERE f.id = l.fact) ORDER BY a.id"
    ).fetchall()
    for each in found:
        if each["state"] == "active":
            _switch(connection, each["base_hash"], each["purpose"], None)
            _note_turn(connection, each["base_hash"], each["purpose"], None)
        connection.execute("UPDATE adapters SET is_outdated = 1 WHERE id = ?", [each["id"]])
    return [str(each["id"]) for each in found]


def _json(report: Report | None) -> str | None:
    return msgspec.json.encode(report).decode() if report is not None else None


def _adapter(found: sqlite3.Row) -> Adapter:
    told = found["report"]
    report = msgspec.json.decode(told, type=Report) if told is not None else None
    parent, _, merged_with = (found["parent"] or "").partition(" ")
    return Adapter(
        id=found["id"],
        base=found["base"],
        base_hash=found["base_hash"],
        recipe_name=found["recipe_name"],
        recipe=found["recipe"],
        manifest=msgspec.json.decode(found["manifest"], type=Manifest),
        report=report,
        parent=parent or None,
        state=_state(found, report),
        created_at=found["created_at"],
        is_outdated=bool(found["is_outdated"]),
        merged_with=merged_with or None,
    )


def _state(found: sqlite3.Row, report: Report | None) -> State:
    if found["state"] == "active":
        return "active"
    if found["is_outdated"]:
        return "outdated"
    return "refused" if report is not None and not report.verdict.passed else found["state"]
