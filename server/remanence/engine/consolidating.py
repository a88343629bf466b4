"""Consolidating as a job: what was not read is read, what was not compared is compared, in small steps.

Each step is durable before the next, and what is left is asked of the database: a job that was cut short goes
on where it was. A fact is compared with a few neighbours, never with every other.
"""

from __future__ import annotations

from remanence.engine.fact_models import FactModel
from remanence.engine.facts import FactReading
from remanence.engine.jobs import Control
from remanence.memory.decisions import RULES_DECIDED
from remanence.memory.fact_rules import RULES_VERSION

_MOST_PENDING = 1000


def consolidate(control: Control, reading: FactReading, model: FactModel | None, *, again: bool) -> None:
    """Do all there is to do; `again` has every fact compared anew. Raises LanguageModelError where the model
    cannot be asked."""
    if again and not control.record.position:
        reading.facts.compare_again(lambda connection: control.reached(connection, "compared anew"))
    _by_rules(control, reading, 0.5 if model is not None else 1.0)
    if model is not None:
        _by_model(control, reading, model)


def _by_rules(control: Control, reading: FactReading, share: float) -> None:
    facts = reading.facts
    left = facts.count_unread(RULES_VERSION) + facts.count_undecided(RULES_DECIDED)
    done = 0
    while read := reading.read():
        control.figures["read"] += read
        done += read
        control.report(share * done / max(done, left), f"read {done}")
    while compared := reading.decide():
        control.figures["compared"] += compared
        done += compared
        control.report(share * done / max(done, left), f"compared {compared}")


def _by_model(control: Control, reading: FactReading, model: FactModel) -> None:
    def cancelled() -> bool:
        control.report()  # raises once somebody cancelled
        return False

    facts = reading.facts
    left = facts.count_unread(f"{RULES_VERSION}+{model.name}") + facts.count_undecided(
        f"{RULES_DECIDED}+{model.name}"
    )
    done = 0

    def one_done(what: str) -> None:
        nonlocal done
        done += 1
        control.figures[f"{what} by {model.name}"] += 1
        control.report(0.5 + 0.5 * done / max(done, left), f"{what} by {model.name}: {done}")

    while (readable := reading.read_with(model, cancelled)) is not None:
        if not readable:
            control.fail_one(f"{model.name} gave no facts that could be read from a memory")
        one_done("read")
    while reading.decide():
        control.report()
    while (verdicts := reading.decide_with(model, cancelled)) is not None:
        control.figures["pending"] += sum(each.pending for each in verdicts)
        control.figures["superseded"] += sum(
            not each.pending and each.action != "ignore" for each in verdicts
        )
        one_done("compared")
    for each in facts.decisions("pending", _MOST_PENDING):
        newer, older = facts.get(each.fact), facts.get(each.older)
        if newer is not None and older is not None and newer.age > older.age:
            facts.settle([model.verdict(newer, older, cancelled)])
            one_done("asked once more")
