"""Whether an adapter may be activated: what it learned, and what it must not have harmed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from msgspec import Struct, field

from remanence.training.evaluation import Kind, Score
from remanence.training.recipe import GateRecipe

Scores = Mapping[Kind, Score]

_LEAST_DECISIONS = 0.9  # valid JSON, of an adapter that decides


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


def judge(found: Comparison, gate: GateRecipe) -> Verdict:
    """Every condition that the questions can decide; without a held-out paraphrase nothing passes."""
    base, adapter = found.base, found.adapter
    conditions: list[tuple[bool, str]] = []
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
    if "decision" in adapter:
        valid = cast(float, adapter["decision"].valid)
        conditions.append(
            (
                valid >= _LEAST_DECISIONS,
                f"{valid:.0%} of decisions are valid JSON, {_LEAST_DECISIONS:.0%} asked",
            )
        )
    conditions.sort(key=lambda condition: condition[0])
    return Verdict(passed=all(met for met, _ in conditions), reasons=[said for _, said in conditions])


def _exact(scores: Scores, kind: Kind) -> float:
    return scores[kind].exact if kind in scores else 0.0
