"""What an adapter must show before it is activated."""

from __future__ import annotations

import pytest

from remanence.training.evaluation import Kind, Score
from remanence.training.gate import Comparison, judge
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
