"""`remanence dataset`, `train` and `adapters` against a real engine with a real, tiny model."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import tiny_llama
from remanence.cli import main
from remanence.engine.starting import drain
from remanence.paths import Home

pytestmark = pytest.mark.e2e

FACTS = [fact.adapted for fact in tiny_llama.FACTS[:3]]
QUICK = """
name = "quick"
[train]
learning_rate = 5e-3
batch_size = 16
epochs = 1
max_length = 128
replay = 0.0
[care]
only_on_mains = false
threads = 1
"""


@pytest.fixture
def remembering(home: Home) -> Iterator[Home]:
    """A home with a model to train, in which some facts were said."""
    folder = json.dumps(str(tiny_llama.folder()))
    home.settings.write_text(
        f'[language_models]\nuse = "t"\n[language_models.models.t]\npath = {folder}\n', encoding="utf-8"
    )
    for fact in FACTS:
        said = f"{fact.service} runs on port {fact.port} now."
        assert run(home, "capture", "--question", said, "--answer", "Noted, it is set.").exit_code == 0
    yield home
    asyncio.run(drain(home))


def run(home: Home, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["--home", str(home.root), *arguments])


def planned(home: Home, *arguments: str) -> Result:
    """The plan once the engine has read what was said."""
    for _ in range(120):
        result = run(home, "train", "--dry-run", *arguments)
        if f"learns {len(FACTS)} facts" in result.output:
            return result
        time.sleep(0.25)
    raise AssertionError(result.output)


def test_a_dry_run_says_what_would_be_learned_and_what_it_takes(remembering: Home, tmp_path: Path) -> None:
    said = planned(remembering)
    assert said.exit_code == 0
    assert all(fact.port in said.output for fact in FACTS)
    assert "by the recipe cpu-tiny" in said.output
    assert " MB" in said.output

    written = run(remembering, "dataset", str(tmp_path / "out"))
    assert written.exit_code == 0, written.output
    assert f"{len(FACTS)} new facts of {len(FACTS)} memories" in written.output
    assert "paraphrase" in written.output
    assert (tmp_path / "out" / "stages" / "000.jsonl").is_file()

    assert "There are no adapters" in run(remembering, "adapters").output
    unknown = run(remembering, "adapters", "activate", "nothing")
    assert unknown.exit_code == 1
    assert "no adapter 'nothing'" in unknown.output


def test_an_action_needs_an_adapter_and_some_need_two(home: Home) -> None:
    result = run(home, "adapters", "delete")
    assert result.exit_code == 2
    assert "Say which adapter to delete" in result.output
    for action in ("compare", "merge"):
        result = run(home, "adapters", action, "one")
        assert result.exit_code == 2
        assert f"Say which two to {action}: `remanence adapters {action} ID OTHER`" in result.output


def test_adapters_are_switched_compared_merged_forgotten_and_deleted(
    remembering: Home, tmp_path: Path
) -> None:
    (tmp_path / "quick.toml").write_text(QUICK)
    planned(remembering)
    for _ in range(2):
        done = run(remembering, "train", "--recipe", str(tmp_path / "quick.toml"), "--afresh")
        assert done.exit_code == 0, done.output
    told = json.loads(run(remembering, "adapters", "--json").output)["adapters"]
    one, other = (each["id"] for each in told)

    assert f"{one} is active" in run(remembering, "adapters", "activate", one, "--force").output
    assert run(remembering, "adapters", "delete", one).exit_code == 1
    assert "bare model" in run(remembering, "adapters", "deactivate", one).output
    assert f"{one} is active again" in run(remembering, "adapters", "rollback", one).output
    assert run(remembering, "adapters", "compare", one, other).output.count(" facts, quick") == 2

    merged = run(
        remembering, "adapters", "merge", one, other, "--weights", "0.5", "0.5", "--method", "linear"
    )
    assert merged.exit_code == 0, merged.output
    assert "evaluated before it may be activated" in merged.output
    assert "its evaluation: evaluated" in merged.output
    newest = json.loads(run(remembering, "adapters", "--json").output)["adapters"][0]
    assert (newest["parent"], newest["mergedWith"]) == (one, other)
    assert f"linear of 0.5 {one} and 0.5 {other}" in run(remembering, "adapters").output
    refused = run(remembering, "adapters", "merge", one, other, "--weights", "0", "1")
    assert refused.exit_code == 1
    assert "weights: give one for each" in refused.output

    forgotten = run(remembering, "forget", "--yes", "--all")
    assert "had learned what was forgotten" in forgotten.output
    assert "`remanence adapters delete ID`" in forgotten.output
    assert run(remembering, "adapters").output.count("outdated") == 3
    assert f"{one} is deleted" in run(remembering, "adapters", "delete", one).output


def test_forgetting_one_memory_says_how_to_train_again_without_it(remembering: Home, tmp_path: Path) -> None:
    (tmp_path / "quick.toml").write_text(QUICK)
    planned(remembering)
    assert run(remembering, "train", "--recipe", str(tmp_path / "quick.toml")).exit_code == 0
    (old,) = json.loads(run(remembering, "adapters", "--json").output)["adapters"]
    recalled = json.loads(run(remembering, "recall", FACTS[0].service, "--json").output)
    said = run(remembering, "forget", "--yes", recalled["memories"][0]["id"]).output
    assert f"`remanence train --instead-of {old['id']}` makes one without it" in said
    again = run(remembering, "train", "--instead-of", old["id"], "--dry-run").output
    assert f"learns {len(FACTS) - 1} facts" in again
    assert FACTS[0].service not in again
    assert "by the recipe quick" in again


def test_whether_runs_begin_by_themselves_is_kept_and_told(remembering: Home) -> None:
    off = run(remembering, "train", "--automatic", "always")
    assert off.exit_code == 0, off.output
    assert "off until settings.toml has automatic_after" in off.output
    asyncio.run(drain(remembering))
    with remembering.settings.open("a", encoding="utf-8") as settings:
        settings.write(f"[training]\nautomatic_after = {len(FACTS)}\n")
    planned(remembering)
    status = run(remembering, "status").output
    assert f"learning: {len(FACTS)} facts are new since the last training: `remanence train`" in status
    assert "nothing asks" in run(remembering, "train", "--automatic", "never").output
    assert "learning:" not in run(remembering, "status").output
    assert "The editor asks once" in run(remembering, "train", "--automatic", "ask").output
    assert "There are no jobs" in run(remembering, "jobs").output  # no editor, no run
