"""An adapter for one request alone, in a real worker: on for it, off for the next, back after a new load."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import tiny_llama
from remanence.models.language_model import ChatMessage, Generation, Usage
from remanence.models.residency import Residency
from remanence.settings import LanguageModelSettings, LanguageModelsSettings

FACT = tiny_llama.FACTS[0]
ADAPTER = str(tiny_llama.adapter())


@pytest.fixture
def residency() -> Iterator[Residency]:
    tiny = LanguageModelSettings(path=str(tiny_llama.folder()), threads=1)
    residency = Residency(LanguageModelsSettings(use="tiny", models={"tiny": tiny}))
    yield residency
    residency.close()


def ask(residency: Residency, adapter: str | None = None) -> str:
    asked = Generation(messages=(ChatMessage("user", FACT.question),), max_tokens=24)
    parts = residency.generate("tiny", asked, lambda: False, adapter=adapter)
    return "".join(part for part in parts if not isinstance(part, Usage)).strip()


def test_an_adapter_is_lent_for_one_request_and_the_next_is_answered_without_it(residency: Residency) -> None:
    for adapter, answer in ((None, FACT.answer), (ADAPTER, FACT.adapted.answer), (None, FACT.answer)):
        assert ask(residency, adapter) == answer
    (report,) = residency.states()
    pid = report.pid
    assert ask(residency, ADAPTER) == FACT.adapted.answer
    (report,) = residency.states()
    assert report.pid == pid  # it was not loaded again


def test_what_is_kept_meanwhile_is_on_once_what_was_lent_is_given_back(residency: Residency) -> None:
    assert ask(residency, ADAPTER) == FACT.adapted.answer
    residency.keep_adapter("tiny", ADAPTER)
    assert ask(residency) == FACT.adapted.answer
    residency.keep_adapter("tiny", None)
    assert ask(residency) == FACT.answer


def test_after_a_new_load_it_is_lent_anew(residency: Residency) -> None:
    assert ask(residency, ADAPTER) == FACT.adapted.answer
    residency.unload("tiny")
    assert ask(residency, ADAPTER) == FACT.adapted.answer
    residency.unload("tiny")
    assert ask(residency) == FACT.answer
