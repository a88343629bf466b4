"""Facts in the background: drawn from what was not read yet, each then compared with others of its kind.

The rules read when nothing else waits. A language model does so when the user turned that on, and only once
nobody has asked for anything for a while. The queues are the database's own: whatever happens to this
thread or its process, the next one goes on where it was.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace

from remanence.engine.fact_models import FactModel, UnreadableAnswer
from remanence.engine.foreground import step_aside
from remanence.engine.verbs import Cancelled
from remanence.memory.database import StoreError
from remanence.memory.decisions import RULES_DECIDED, by_rules, worth_asking
from remanence.memory.fact import USER, Draft, Fact
from remanence.memory.fact_rules import RULES_VERSION, draft_facts
from remanence.memory.fact_store import FactStore, Unread, Verdict
from remanence.models.language_model import LanguageModelError

log = logging.getLogger(__name__)

_READ_AT_ONCE = 32  # exchanges in one transaction: some 50 ms
_DECIDED_AT_ONCE = 64
_LOOK_SECONDS = 1.0
_IDLE_SECONDS = 60.0  # without a capture or an import, before a model is bothered
_RETRY_SECONDS = 30.0


class FactReading:
    """Reads exchanges and compares facts, a batch at a time; whoever calls says how long."""

    def __init__(self, facts: FactStore) -> None:
        self.facts = facts

    def read(self) -> int:
        """Let the rules read the newest exchanges that they have not; how many these were."""
        batch = self.facts.unread(RULES_VERSION, _READ_AT_ONCE)
        if batch:
            self.facts.put_all([(each, _by_rules(each)) for each in batch], RULES_VERSION)
        return len(batch)

    def decide(self) -> int:
        """Compare facts that the rules have not compared; how many these were."""
        batch = self.facts.undecided(RULES_DECIDED, _DECIDED_AT_ONCE)
        if batch:
            verdicts = [verdict for fact in batch for verdict in self._verdicts(fact)]
            self.facts.settle(verdicts, [fact.id for fact in batch], RULES_DECIDED)
        return len(batch)

    def read_with(self, model: FactModel, cancelled: Cancelled) -> bool | None:
        """Let a model read one exchange, the newest it has not; whether its answer could be read, None where
        there is none left. Raises LanguageModelError."""
        reader = f"{RULES_VERSION}+{model.name}"
        batch = self.facts.unread(reader, 1)
        if not batch:
            return None
        (each,) = batch
        drafts, readable = _by_rules(each), True
        if not each.replaced:
            try:
                drafts += [_placed(draft, each) for draft in model.facts(each, cancelled)]
            except UnreadableAnswer as error:
                log.info("%s said nothing readable about an exchange: %s", model.name, error)
                readable = False
        self.facts.put_all([(each, drafts)], reader)
        return readable

    def decide_with(self, model: FactModel, cancelled: Cancelled) -> list[Verdict] | None:
        """Let a model judge one fact against the older or newer ones nearest to it, a few; what came of that,
        None where no fact is left. Raises LanguageModelError."""
        by = f"{RULES_DECIDED}+{model.name}"
        batch = self.facts.undecided(by, 1)
        if not batch:
            return None
        (fact,) = batch
        verdicts: list[Verdict] = []
        if fact.is_current:
            rivals, states = self.facts.rivals(fact), self.facts.states(fact.id)
            pairs = worth_asking(fact, rivals)
            verdicts = [
                model.verdict(newer, older, cancelled)
                for newer, older in pairs
                if states.get((newer.id, older.id), "pending") == "pending"
            ]
        self.facts.settle(verdicts, [fact.id], by)
        return verdicts

    def _verdicts(self, fact: Fact) -> Sequence[Verdict]:
        rivals = self.facts.rivals(fact)
        if not rivals:
            return ()
        step_aside()
        states = self.facts.states(fact.id)
        # what was undone stays undone: the user knows better
        return [each for each in by_rules(fact, rivals) if states.get((each.fact, each.older)) != "undone"]


class FactWork:
    """The thread that reads in the background. `others_work` tells whether something more urgent goes on;
    `model` is asked as well where there is one."""

    def __init__(
        self, reading: FactReading, others_work: Callable[[], bool], model: FactModel | None = None
    ) -> None:
        self.busy = False
        self._reading = reading
        self._others_work = others_work
        self._model = model
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="facts", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def wake(self) -> None:
        """Something was stored or forgotten."""
        self._wake.set()

    def close(self) -> None:
        """End after the batch under way."""
        self._stopping.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(timeout=10)

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._wake.clear()
            try:
                self.busy = True
                self._read_all()
                self.busy = False
                if self._model is not None and not self._wake.wait(_IDLE_SECONDS):
                    self._ask(self._model)
            except StoreError as error:  # a full disk: what was not read waits
                log.warning("no facts are drawn for now: %s", error)
                self._stopping.wait(_RETRY_SECONDS)
                continue
            except Exception as error:  # noqa: BLE001  the thread must outlive whatever one exchange holds
                log.error("drawing facts failed: %s", type(error).__name__)
                self._stopping.wait(_RETRY_SECONDS)
                continue
            finally:
                self.busy = False
            self._wake.wait(None if self._model is None else _IDLE_SECONDS)

    def _read_all(self) -> None:
        while not self._stopping.is_set():
            if self._others_work():
                self._stopping.wait(_LOOK_SECONDS)
            elif not self._reading.read() and not self._reading.decide():
                return

    def _ask(self, model: FactModel) -> None:
        """Ask the model until something is stored, or nothing is left."""

        def disturbed() -> bool:
            return self._stopping.is_set() or self._wake.is_set() or self._others_work()

        try:
            while not disturbed():
                if (
                    self._reading.read_with(model, disturbed) is None
                    and not self._reading.decide()
                    and self._reading.decide_with(model, disturbed) is None
                ):
                    return
        except LanguageModelError as error:
            if not disturbed():
                log.warning("%s draws no facts: %s", model.name, error)
                self._stopping.wait(_RETRY_SECONDS)


def _by_rules(read: Unread) -> list[Draft]:
    step_aside()
    if read.replaced:
        return []
    return [_placed(each, read) for each in draft_facts(read.question, read.answer, read.time)]


def _placed(draft: Draft, read: Unread) -> Draft:
    """What is said of the user holds everywhere, anything else in the project where it was said."""
    return draft if draft.subject == USER else replace(draft, workspace=read.workspace)
