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


def test_an_action_needs_an_adapter(home: Home) -> None:
    result = run(home, "adapters", "delete")
    assert result.exit_code == 2
    assert "Say which adapter to delete" in result.output
