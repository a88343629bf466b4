"""What a terminal says of a run for operations, and of the adapter that it made."""

from __future__ import annotations

from click.testing import CliRunner

from remanence.cli_learning import adapters_in_words, plan_in_words, train
from remanence.engine import learning_messages as lm


def test_a_plan_for_operations_says_what_it_is_learned_from() -> None:
    plan = lm.TrainPlan(
        base="/tiny",
        recipe="test",
        facts=["The api runs on port 80."],
        known=0,
        stages=1,
        rows=40,
        steps=60,
        seconds=30.0,
        memory_mb=500,
        purpose="operations",
        by_origin={"update, rules": 12, "ignore, made": 24},
    )
    told = plan_in_words(lm.TrainResponse(plan=plan))
    assert "learns to draw facts and to decide about them, from 1 facts" in told
    assert "update, rules" in told
    assert "repeats" not in told


def test_an_adapter_for_operations_is_listed_with_its_json_and_its_decisions() -> None:
    share = {"n": 20, "exact": 0.9, "low": 0.8, "high": 1.0, "f1": 0.9, "valid": 0.95}
    scores = {
        "decision": lm.ScoreFigures(decision_f1=0.88, **share),  # type: ignore[arg-type]
        "extraction": lm.ScoreFigures(precision=0.75, recall=0.5, **share),  # type: ignore[arg-type]
    }
    adapter = lm.AdapterFigures(
        id="abc",
        base="/tiny",
        recipe="test",
        state="active",
        facts=12,
        folder="/adapters/abc",
        created_at=1_750_000_000_000,
        purpose="operations",
        passed=True,
        evaluation={"adapter": scores},
    )
    told = adapters_in_words(lm.AdaptersResponse(adapters=[adapter]))
    assert "for operations" in told
    assert "F1 88%, 95% JSON" in told
    assert "P 75%, R 50%" in told


def test_another_purpose_is_refused_by_its_name() -> None:
    refused = CliRunner().invoke(train, ["--for", "dreams"])
    assert refused.exit_code == 2
    assert "'facts', 'operations'" in refused.output
