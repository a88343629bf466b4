"""Comparing two results: what counts as a change, and which way is good."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from compare_runs import Change, compare, figures

SCRIPT = Path(__file__).parent / "compare_runs.py"


def _changes(before: object, after: object) -> dict[str, Change]:
    return {change.name: change for change in compare(before, after, share=0.01, ratio=0.1)}


def test_every_number_in_nested_objects_and_lists_has_a_name() -> None:
    content = {"a": {"b": 1, "c": [2, {"d": 0.5}]}, "note": "words", "flag": True, "none": None}
    assert dict(figures(content)) == {"a / b": 1, "a / c / 0": 2, "a / c / 1 / d": 0.5}


def test_a_share_has_changed_beyond_a_hundredth_and_a_size_beyond_a_tenth() -> None:
    changes = _changes(
        {"R@10": 0.80, "MRR": 0.60, "rss MB": 100, "p50 ms": 0.50},
        {"R@10": 0.78, "MRR": 0.605, "rss MB": 109, "p50 ms": 0.53},
    )
    assert {name for name, change in changes.items() if change.notable} == {"R@10"}


def test_recall_is_better_when_higher_and_times_sizes_and_leaks_when_lower() -> None:
    rose = _changes(
        {"recall": {"R@10": 0.5, "p95 ms": 5, "leak": 0.1}, "rss_mb": 100, "import_per_second": 90},
        {"recall": {"R@10": 0.6, "p95 ms": 6, "leak": 0.2}, "rss_mb": 150, "import_per_second": 120},
    )
    assert {name: change.better for name, change in rose.items()} == {
        "recall / R@10": True,
        "recall / p95 ms": False,
        "recall / leak": False,
        "rss_mb": False,
        "import_per_second": True,
    }


def test_counts_and_the_ends_of_an_interval_are_neither_better_nor_worse() -> None:
    changes = _changes({"n": 100, "difference": {"low": -0.1}}, {"n": 400, "difference": {"low": 0.1}})
    assert [change.better for change in changes.values()] == [None, None]


def test_the_exit_status_tells_of_a_figure_that_got_worse_only_when_asked(tmp_path: Path) -> None:
    before, after = tmp_path / "before.json", tmp_path / "after.json"
    before.write_text(json.dumps({"run": {"cores": 8}, "figures": {"R@10": 0.9, "MRR": 0.5}}))
    after.write_text(json.dumps({"run": {"cores": 2}, "figures": {"R@10": 0.8, "MRR": 0.6}}))

    def run(*more: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(SCRIPT), str(before), str(after), *more]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    assert run().returncode == 0
    failed = run("--fail-below")
    assert failed.returncode == 1
    assert "WORSE" in failed.stdout
    assert "2 figures compared: 1 better, 1 worse" in failed.stdout
    assert run("--fail-below", "--share", ".2").returncode == 0
