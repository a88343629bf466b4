"""Whether an adapter may be activated: what it learned, and what it must not have harmed."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct, field

from remanence.training.evaluation import Kind, Score
from remanence.training.recipe import GateRecipe, Purpose

Scores = Mapping[Kind, Score]


class Comparison(Struct, frozen=True, kw_only=True):
    """{base, adapter} × {without recall, with recall}."""

    base: dict[Kind, Score]
    adapter: dict[Kind, Score]
    base_with_recall: dict[Kind, Score] = field(default_factory=dict[Kind, Score])
    adapter_with_recall: dict[Kind, Score] = field(default_factory=dict[Kind, Score])


class Verdict(Struct, frozen=True, kw_only=True):
    """`reasons` says of each condition what was found, those not met first."""

    passed: bool
    reasons: list[str]


Conditions = list[tuple[bool, str]]


def judge(found: Comparison, gate: GateRecipe, purpose: Purpose = "facts") -> Verdict:
    """Every condition that the questions can decide; without a held-out paraphrase, or a held-out decision
    where it is for operations, nothing passes."""
    conditions = _of_facts(found, gate) if purpose == "facts" else _of_operations(found, gate)
    conditions.sort(key=lambda condition: condition[0])
    return Verdict(passed=all(met for met, _ in conditions), reasons=[said for _, said in conditions])


def _of_operations(found: Comparison, gate: GateRecipe) -> Conditions:
    decided, drawn = found.adapter.get("decision"), found.adapter.get("extraction")
    if decided is None:
        return [(False, "no held-out decision was asked")]
    conditions: Conditions = []

    def at_least(kind: Kind, name: str, least: float, what: str) -> None:
        now, before = (_figure(scores, kind, name) for scores in (found.adapter, found.base))
        conditions.append((now >= least, f"{now:.0%} {what}, {least:.0%} asked"))
        if now < before:
            conditions.append((False, f"{before:.0%} with the bare model: {what}"))

    at_least("decision", "valid", gate.least_valid, "of decisions are valid JSON, not held to it")
    at_least("decision", "decision_f1", gate.least_decision_f1, "macro-F1 of decisions")
    if drawn is not None:
        at_least("extraction", "valid", gate.least_valid, "of lists of facts are valid JSON, not held to it")
        at_least("extraction", "precision", gate.least_precision, "of the facts drawn are right")
        at_least("extraction", "recall", gate.least_recall, "of the facts that were said are drawn")
    return conditions


def _figure(scores: Scores, kind: Kind, name: str) -> float:
    return getattr(scores[kind], name) or 0.0 if kind in scores else 0.0


def _of_facts(found: Comparison, gate: GateRecipe) -> Conditions:
    base, adapter = found.base, found.adapter
    conditions: Conditions = []
    learned = adapter.get("paraphrase")
    if learned is None:
        conditions.append((False, "no held-out paraphrase was asked"))
    else:
        before = _exact(base, "paraphrase")
        gain = learned.exact - before
        conditions += [
            (
                learned.exact >= gate.least_learned,
                f"{learned.exact:.0%} of held-out paraphrases right, {gate.least_learned:.0%} asked",
            ),
            (
                gain >= gate.least_gain or learned.exact == 1.0,
                f"{gain:+.0%} against the base model, {gate.least_gain:+.0%} asked",
            ),
        ]
    if "general" in adapter and "general" in base:
        lost = _exact(base, "general") - _exact(adapter, "general")
        conditions.append(
            (
                lost <= gate.most_general_loss,
                f"{max(lost, 0):.0%} of general questions lost, {gate.most_general_loss:.0%} allowed",
            )
        )
    if "paraphrase" in found.base_with_recall and "paraphrase" in found.adapter_with_recall:
        lost = _exact(found.base_with_recall, "paraphrase") - _exact(found.adapter_with_recall, "paraphrase")
        conditions.append(
            (
                lost <= gate.most_general_loss,
                f"with recall {max(lost, 0):.0%} of paraphrases lost, {gate.most_general_loss:.0%} allowed",
            )
        )
    if "superseded" in adapter:
        stale = adapter["superseded"].stale
        conditions.append(
            (
                stale <= gate.most_stale,
                f"{stale:.0%} of answers no longer hold, {gate.most_stale:.0%} allowed",
            )
        )
    if "never" in adapter:
        invented = 1 - adapter["never"].exact
        conditions.append(
            (
                invented <= gate.most_invented,
                f"{invented:.0%} of what was never said is answered, {gate.most_invented:.0%} allowed",
            )
        )
    return conditions


def _exact(scores: Scores, kind: Kind) -> float:
    return scores[kind].exact if kind in scores else 0.0
