"""Whether a training run is due by itself: after so many new facts, if the user said so when asked, once.

What the user answered, and up to when facts were counted for a run, stands in the database. Whatever began a
run, and however that ended, the next is due only after as many facts more.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable

import msgspec
from msgspec import Struct

from remanence.engine import learning_messages as lm
from remanence.engine.jobs import Jobs
from remanence.engine.learning_material import read_the_newest
from remanence.engine.training_plan import choose_base, choose_recipe
from remanence.memory.database import Database
from remanence.memory.fact_store import FactStore
from remanence.memory.timestamps import now_ms
from remanence.settings import LanguageModelsSettings, TrainingSettings
from remanence.training.adapters import AdapterRegistry
from remanence.training.base_hash import base_hash
from remanence.training.care import is_allowed_to_run
from remanence.training.estimate import size_of

_KEY = "automatic training"  # in `meta`


class _Kept(Struct, frozen=True):
    """`since`: facts of this moment (UTC epoch ms) and before were counted."""

    answer: lm.AutomaticAnswer | None = None
    since: int = 0


class AutomaticTraining:
    """Safe to use from several threads. Its methods raise EngineError and what the rooms say in words."""

    def __init__(
        self,
        database: Database,
        settings: TrainingSettings,
        models: LanguageModelsSettings,
        registry: AdapterRegistry,
        jobs: Jobs,
    ) -> None:
        self.after = settings.automatic_after
        self._recipe = settings.recipe or None
        self._database = database
        self._facts = FactStore(database)
        self._models = models
        self._registry = registry
        self._jobs = jobs
        self._is_being_asked = False
        self._lock = threading.Lock()  # two doors that look at once begin one run, and ask one question

    def look(self, begin: Callable[[], str | None]) -> lm.AutomaticResponse:
        """What is due; `begin` starts a run and gives its job, where the user wanted that."""
        if self.after and not self._jobs.busy():
            read_the_newest(self._facts)
        with self._lock:
            kept = self._kept()
            new = self.count() if self.after else 0
            told = lm.AutomaticResponse(after=self.after, new=new, answer=kept.answer)
            if not self.after or new < self.after or kept.answer in ("now", "later", "never"):
                return told
            if (reason := self._hindered()) is not None:
                return msgspec.structs.replace(told, words=reason)
            if kept.answer == "always":
                return msgspec.structs.replace(told, job_id=begin())
            if self._is_being_asked:
                return told
            self._is_being_asked = True
            return msgspec.structs.replace(told, ask=True, words=_question(new))

    def answer(self, answer: lm.AutomaticAnswer, begin: Callable[[], str | None]) -> lm.AutomaticResponse:
        """Keep what the user said, and do it."""
        with self._lock:
            kept = None if answer == "ask" else answer
            self._keep(lambda before: msgspec.structs.replace(before, answer=kept))
            self._is_being_asked = False
            new = self.count() if self.after else 0
            starts = answer == "now" or (answer == "always" and 0 < self.after <= new)
            return lm.AutomaticResponse(
                after=self.after, new=new, answer=kept, job_id=begin() if starts else None
            )

    def begun(self) -> None:
        """A run begins with what there is now. (Without the lock: `begin` calls this, and others too.)"""
        self._keep(lambda before: msgspec.structs.replace(before, since=now_ms()))

    def count(self) -> int:
        """How many facts hold that came since then and that the model in use has not learned."""
        found = self._database.reader().execute(
            "SELECT count(*) FROM facts WHERE valid_until IS NULL AND created_at > ?"
            " AND id NOT IN (SELECT value FROM json_each(?))",
            [self._kept().since, msgspec.json.encode(self._learned()).decode()],
        )
        return int(found.fetchone()[0])

    def in_words(self) -> str | None:
        """What a status says: that a run would be due; None where there is nothing to say."""
        if not self.after or self._kept().answer == "never" or (new := self.count()) < self.after:
            return None
        return f"{new} facts are new since the last training: `remanence train` teaches them to the model"

    def _learned(self) -> list[str]:
        active = self._registry.active(base_hash(choose_base(lm.LearningRequest(), self._models)))
        return active.learned if active is not None else []

    def _hindered(self) -> str | None:
        """Why no run can begin now, in words."""
        if self._jobs.busy():
            return "something else is running"
        size = size_of(choose_base(lm.LearningRequest(), self._models))
        return is_allowed_to_run(choose_recipe(self._recipe, size).care)

    def _kept(self) -> _Kept:
        return _read(self._database.reader())

    def _keep(self, change: Callable[[_Kept], _Kept]) -> None:
        with self._database.transaction() as connection:
            kept = msgspec.json.encode(change(_read(connection))).decode()
            connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", [_KEY, kept])


def _read(connection: sqlite3.Connection) -> _Kept:
    found = connection.execute("SELECT value FROM meta WHERE key = ?", [_KEY]).fetchone()
    return msgspec.json.decode(found[0], type=_Kept) if found is not None else _Kept()


def _question(new: int) -> str:
    return (
        f"{new} facts are new. Shall the language model learn them now? It takes some minutes or more, at low"
        " priority. You are asked this once; `remanence train --automatic ask` has it asked again."
    )
