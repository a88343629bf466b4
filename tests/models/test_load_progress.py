"""While a model is loaded, whoever waits for it hears how far it is, and need not wait."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from generating import never

import tiny_llama
from remanence.engine import model_messages as mm
from remanence.engine.asking import Asking
from remanence.engine.service import Service, open_service
from remanence.engine.verbs import EngineError
from remanence.models import llama_cpp_backend
from remanence.models.choosing import Chosen, choose_backend
from remanence.models.language_model import LoadRequest
from remanence.models.model_client import ModelProcess
from remanence.models.residency import Residency
from remanence.paths import Home
from remanence.settings import LanguageModelSettings, LanguageModelsSettings

TESTS = str(Path(__file__).parents[1])
ASKED = mm.AskRequest(prompt="say 2", model="slow", with_memory=False, remember=False)


@dataclass(frozen=True)
class Slow:
    """A model that waits in the middle of its loading until it may go on, and who asks it."""

    asking: Asking
    residency: Residency
    path: Path

    def go_on(self) -> None:
        Path(f"{self.path}.go").touch()


@pytest.fixture
def service(home: Home) -> Iterator[Service]:
    service = open_service(home)
    yield service
    service.close()


@pytest.fixture
def slow(service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Slow]:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([TESTS, os.environ.get("PYTHONPATH", "")]))
    (tmp_path / "slow").write_text("slow", encoding="utf-8")

    def choose(path: Path, wanted: str) -> Chosen:
        chosen = choose_backend(tiny_llama.gguf("Q8_0"))
        return replace(chosen, backend="models.scripted_model", size_bytes=1234 * 2**20)

    settings = LanguageModelsSettings(
        models={"slow": LanguageModelSettings(path=str(tmp_path / "slow"))}, most_mb=5000
    )
    residency = Residency(settings, choose=choose, free=lambda: 10_000.0)
    asking = Asking(
        lambda: residency, "slow", 500, service.enriching, recall=service.recall, capture=service.capture
    )
    yield Slow(asking, residency, tmp_path / "slow")
    residency.close()


def test_who_asks_hears_the_size_the_share_and_the_seconds_until_the_answer_comes(slow: Slow) -> None:
    events = slow.asking.ask(ASKED, never)
    assert next(events).state == "loading slow"
    while not re.fullmatch(r"loading slow: 1,234 MB, 40 %, \d+ s", state := next(events).state or ""):
        assert re.fullmatch(r"loading slow: (1,234 MB, )?\d+ s", state)  # the process has just begun
    slow.go_on()
    *_, last = events
    assert last.end is not None
    assert last.end.answer.startswith("wordé0")
    assert slow.residency.progress("slow") is None
    assert [event.state for event in slow.asking.ask(ASKED, never) if event.state] == []


def test_who_does_not_want_to_wait_is_let_go_and_the_next_gets_the_model(slow: Slow) -> None:
    given_up = threading.Event()
    events = slow.asking.ask(ASKED, given_up.is_set)
    next(events)
    given_up.set()
    with pytest.raises(EngineError, match="cancelled"):
        list(events)
    assert not slow.residency.is_loaded("slow")
    slow.go_on()
    *_, last = slow.asking.ask(ASKED, never)
    assert last.end is not None


def test_unloading_breaks_the_loading_off_for_who_waits(slow: Slow) -> None:
    events = slow.asking.ask(ASKED, never)
    while "40 %" not in (next(events).state or ""):
        continue
    slow.residency.unload("slow")
    with pytest.raises(EngineError, match="was unloaded"):
        list(events)


def test_llama_cpp_tells_how_far_it_is() -> None:
    shares: list[float] = []
    asked = LoadRequest(path=str(tiny_llama.gguf("Q8_0")), threads=1)
    llama_cpp_backend.load(asked, shares.append).close()
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    heard = len(shares)
    llama_cpp_backend.load(asked).close()
    assert len(shares) == heard


@pytest.mark.parametrize(("backend", "share"), [("llama_cpp", 1.0), ("ctransformers", None)])
def test_the_engine_hears_it_from_the_worker_where_the_library_tells(
    backend: str, share: float | None
) -> None:
    process = ModelProcess(backend)
    process.load(LoadRequest(path=str(tiny_llama.gguf("Q8_0")), threads=1))
    assert process.loaded_share == share
    process.close()
    assert process.loaded_share is None
