"""What an adapter must show before it is activated."""

from __future__ import annotations

import pytest

from remanence.training.evaluation import Kind, Score
from remanence.training.gate import Comparison, Scores, judge
from remanence.training.recipe import GateRecipe

GATE = GateRecipe()


def score(exact: float, *, stale: float = 0.0) -> Score:
    return Score(n=50, exact=exact, low=exact, high=exact, f1=exact, stale=stale)


GOOD: dict[Kind, Score] = {
    "paraphrase": score(0.9),
    "general": score(0.8),
    "superseded": score(0.9),
    "never": score(0.8),
}
BASE: dict[Kind, Score] = {"paraphrase": score(0.1), "general": score(0.8)}


def test_one_that_learned_and_harmed_nothing_passes() -> None:
    verdict = judge(Comparison(base=BASE, adapter=GOOD), GATE)
    assert verdict.passed
    assert any("90%" in reason for reason in verdict.reasons)


@pytest.mark.parametrize(
    ("kind", "found", "said"),
    [
        ("paraphrase", score(0.5), "held-out"),
        ("general", score(0.7), "general"),
        ("superseded", score(0.5, stale=0.5), "no longer hold"),
        ("never", score(0.1), "never said"),
    ],
)
def test_each_condition_alone_can_refuse_and_is_named_first(kind: Kind, found: Score, said: str) -> None:
    verdict = judge(Comparison(base=BASE, adapter={**GOOD, kind: found}), GATE)
    assert not verdict.passed
    assert said in verdict.reasons[0]


def test_one_that_no_longer_listens_to_recall_is_refused() -> None:
    with_recall: dict[Kind, Score] = {"paraphrase": score(0.95)}
    deaf: dict[Kind, Score] = {"paraphrase": score(0.9)}
    given = Comparison(base=BASE, adapter=GOOD, base_with_recall=with_recall, adapter_with_recall=deaf)
    verdict = judge(given, GATE)
    assert not verdict.passed
    assert "with recall" in verdict.reasons[0]


def test_what_the_base_knew_before_is_no_learning() -> None:
    verdict = judge(Comparison(base={**BASE, "paraphrase": score(0.85)}, adapter=GOOD), GATE)
    assert not verdict.passed
    assert "against the base" in verdict.reasons[0]


def test_without_a_held_out_question_nothing_passes() -> None:
    assert not judge(Comparison(base={}, adapter={}), GATE).passed
    assert not judge(Comparison(base={}, adapter={}), GATE, "operations").passed
    assert not judge(Comparison(base=BASE, adapter=GOOD), GATE, "operations").passed


def in_json(*, valid: float = 1.0, f1: float = 0.9, precision: float = 0.9, recall: float = 0.6) -> Scores:
    rest = {"n": 20, "exact": 0.9, "low": 0.8, "high": 1.0, "f1": 0.9}
    return {
        "decision": Score(valid=valid, decision_f1=f1, **rest),  # type: ignore[arg-type]
        "extraction": Score(valid=valid, precision=precision, recall=recall, **rest),  # type: ignore[arg-type]
    }


def compared(adapter: Scores, base: Scores | None = None) -> Comparison:
    return Comparison(base=dict(base or {}), adapter=dict(adapter))


def test_one_for_operations_passes_by_valid_json_its_decisions_and_the_facts_it_draws() -> None:
    verdict = judge(compared(in_json()), GATE, "operations")
    assert verdict.passed
    assert any("macro-F1" in reason for reason in verdict.reasons)


@pytest.mark.parametrize(
    ("adapter", "said"),
    [
        (in_json(valid=0.9), "valid JSON, not held to it"),
        (in_json(f1=0.6), "macro-F1 of decisions"),
        (in_json(precision=0.4), "facts drawn are right"),
        (in_json(recall=0.2), "were said are drawn"),
    ],
)
def test_each_condition_of_operations_alone_can_refuse_and_is_named_first(adapter: Scores, said: str) -> None:
    verdict = judge(compared(adapter), GATE, "operations")
    assert not verdict.passed
    assert said in verdict.reasons[0]


def test_one_for_operations_that_decides_worse_than_the_bare_model_is_refused() -> None:
    verdict = judge(compared(in_json(f1=0.8), in_json(f1=0.95)), GATE, "operations")
    assert not verdict.passed
    assert "95% with the bare model" in verdict.reasons[0]
