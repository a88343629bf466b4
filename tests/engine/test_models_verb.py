from __future__ import annotations

from collections.abc import Iterator

import pytest

import tiny_llama
from remanence.engine.model_messages import ModelsRequest, ModelsResponse, ModelState
from remanence.engine.models_verb import models
from remanence.engine.verbs import EngineError
from remanence.models.residency import Residency
from remanence.settings import LanguageModelSettings, LanguageModelsSettings


def never() -> bool:
    return False


@pytest.fixture
def residency() -> Iterator[Residency]:
    residency = Residency(
        LanguageModelsSettings(
            models={
                "tiny": LanguageModelSettings(path=str(tiny_llama.gguf("Q8_0")), threads=1),
                "missing": LanguageModelSettings(path="/nowhere/a.gguf"),
                "server": LanguageModelSettings(url="http://127.0.0.1:9/v1"),
            },
            use="tiny",
            most_mb=1234,
        )
    )
    yield residency
    residency.close()


def named(answer: ModelsResponse, id: str) -> ModelState:
    return next(each for each in answer.models if each.id == id)


def test_every_model_is_listed_with_what_is_known_of_it_and_nothing_is_loaded_by_that(residency: Residency):
    answer = models(residency, ModelsRequest(), never, warning="too much")
    assert [each.id for each in answer.models] == ["tiny", "missing", "server"]
    tiny, missing, server = answer.models
    assert (tiny.state, tiny.is_default, tiny.pid, tiny.rss_mb) == ("unloaded", True, None, 0.0)
    assert tiny.size_mb > 0.1
    assert missing.state == "failed"
    assert "cannot be read" in (missing.problem or "")
    assert (server.state, server.backend, server.place) == ("remote", "openai", "http://127.0.0.1:9/v1")
    assert (answer.limit_mb, answer.warning) == (1234, "too much")
    assert answer.profile in ("light", "medium", "heavy")
    assert answer.recommended


def test_a_model_is_loaded_and_unloaded_on_request(residency: Residency):
    loaded = named(models(residency, ModelsRequest(action="load", id="tiny"), never), "tiny")
    assert loaded.state == "loaded"
    assert loaded.pid is not None
    assert loaded.rss_mb > 5
    assert loaded.context == tiny_llama.CONTEXT
    unloaded = named(models(residency, ModelsRequest(action="unload", id="tiny"), never), "tiny")
    assert (unloaded.state, unloaded.pid) == ("unloaded", None)


@pytest.mark.parametrize(
    ("request_", "code", "said"),
    [
        (ModelsRequest(action="load"), "invalid", "say which model to load"),
        (ModelsRequest(action="unload", id="other"), "not_found", "no language model 'other'"),
        (ModelsRequest(action="load", id="missing"), "unavailable", "cannot be read"),
    ],
)
def test_what_cannot_be_done_is_said(residency: Residency, request_: ModelsRequest, code: str, said: str):
    with pytest.raises(EngineError, match=said) as refused:
        models(residency, request_, never)
    assert refused.value.code == code


def test_one_that_waits_for_a_model_to_load_can_be_cancelled(residency: Residency):
    with pytest.raises(EngineError) as refused:
        models(residency, ModelsRequest(action="load", id="tiny"), lambda: True)
    assert refused.value.code == "cancelled"
