"""`remanence models` against a real engine with a real, tiny model."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import psutil
import pytest
from click.testing import CliRunner, Result

import tiny_llama
from remanence.cli_models import models
from remanence.engine.starting import drain
from remanence.paths import Home


@pytest.fixture
def home_with_model(home: Home) -> Iterator[Home]:
    path = json.dumps(str(tiny_llama.gguf("Q8_0")))
    home.settings.write_text(
        f'[language_models]\nuse = "tiny"\n\n[language_models.models.tiny]\npath = {path}\nthreads = 1\n',
        encoding="utf-8",
    )
    yield home
    asyncio.run(drain(home))


def run(home: Home, *arguments: str) -> Result:
    return CliRunner().invoke(models, arguments, obj=home)


def tiny(home: Home, *arguments: str) -> dict[str, Any]:
    result = run(home, *arguments, "--json")
    assert result.exit_code == 0, result.output
    (model,) = json.loads(result.output)["models"]
    return model


@pytest.mark.e2e
def test_a_model_is_listed_loaded_and_unloaded_from_the_terminal(home_with_model: Home):
    listed = run(home_with_model)
    assert listed.exit_code == 0
    assert "* tiny" in listed.output
    assert "unloaded" in listed.output
    assert "suits this machine" in listed.output

    loaded = tiny(home_with_model, "load", "tiny")
    assert loaded["state"] == "loaded"
    assert psutil.pid_exists(loaded["pid"])
    assert f"pid {loaded['pid']}" in run(home_with_model).output

    assert tiny(home_with_model, "unload", "tiny")["state"] == "unloaded"
    assert not psutil.pid_exists(loaded["pid"])


@pytest.mark.e2e
def test_the_worker_ends_with_its_engine(home_with_model: Home):
    pid = tiny(home_with_model, "load", "tiny")["pid"]
    asyncio.run(drain(home_with_model))
    if psutil.pid_exists(pid):
        psutil.Process(pid).wait(timeout=10)


@pytest.mark.e2e
def test_without_a_model_it_is_shown_how_to_set_one(home: Home):
    result = run(home)
    asyncio.run(drain(home))
    assert "No language model is set." in result.output
    assert "[language_models.models.mine]" in result.output


def test_loading_needs_an_id(home: Home):
    result = run(home, "load")
    assert result.exit_code == 2
    assert "Say which model to load" in result.output
