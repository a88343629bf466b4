"""Asking with memory: what goes into the prompt, what is kept, and what happens without a model."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from service_in_process import never

import tiny_llama
from remanence.engine import messages as m
from remanence.engine import model_messages as mm
from remanence.engine.service import Service, open_service
from remanence.engine.verbs import EngineError
from remanence.paths import Home

SOCKET = m.CaptureRequest(
    question="Why does socket.io report an invalid protocol version?",
    answer="Client and server differ. Pin both to the same major version. Then restart.",
)


def ask(service: Service, request: mm.AskRequest) -> mm.AskResponse:
    *_, last = service.streams()["ask"](request, never)
    assert isinstance(last, mm.AskEvent)
    assert last.end is not None
    return last.end


def test_without_a_model_memory_answers_and_says_that_it_is_alone(service: Service) -> None:
    captured = service.capture(SOCKET, never)
    told = ask(service, mm.AskRequest(prompt="socket.io protocol version"))
    assert "Pin both to the same major version" in told.answer
    assert [each.id for each in told.memories] == [captured.id]
    assert told.model is None
    assert told.degraded is not None
    assert "language_models" in told.degraded


def test_what_memory_alone_says_is_no_new_memory(service: Service) -> None:
    service.capture(SOCKET, never)
    assert ask(service, mm.AskRequest(prompt="socket.io protocol version")).exchange_id is None
    assert service.status(m.Empty(), never).exchanges == 1


@pytest.fixture
def with_model(home: Home) -> Iterator[Service]:
    """A service whose settings name the tiny model."""
    home.create()
    home.settings.write_text(
        '[language_models]\nuse = "tiny"\n[language_models.models.tiny]\n'
        f'path = "{tiny_llama.gguf("Q8_0")}"\n'
    )
    service = open_service(home)
    yield service
    service.close()


def test_a_model_answers_and_the_exchange_is_remembered(with_model: Service) -> None:
    fact = tiny_llama.FACTS[0]
    events = list(with_model.streams()["ask"](mm.AskRequest(prompt=fact.question), never))
    assert all(isinstance(event, mm.AskEvent) for event in events)
    told = ask(with_model, mm.AskRequest(prompt=fact.question, with_memory=False))
    assert told.answer.strip() == fact.answer
    assert told.model == "tiny"
    assert told.exchange_id is not None
    kept = with_model.memory(m.MemoryRequest(id=told.exchange_id), never)
    assert (kept.question, kept.answer.strip(), kept.tool) == (fact.question, fact.answer, "remanence")


def test_pieces_add_up_to_the_answer(with_model: Service) -> None:
    request = mm.AskRequest(prompt=tiny_llama.FACTS[1].question, remember=False)
    *events, last = with_model.streams()["ask"](request, never)
    assert isinstance(last, mm.AskEvent)
    assert last.end is not None
    assert "".join(each.text for each in events if isinstance(each, mm.AskEvent)) == last.end.answer


def test_an_answer_that_is_not_wanted_any_more_is_not_remembered(with_model: Service) -> None:
    heard: list[m.Event] = []
    request = mm.AskRequest(prompt=tiny_llama.ENDLESS, max_tokens=400)
    with pytest.raises(EngineError, match="cancelled"):
        heard.extend(with_model.streams()["ask"](request, lambda: len(heard) > 2))
    assert with_model.status(m.Empty(), never).exchanges == 0


def test_a_model_that_the_settings_do_not_name_is_refused_in_words(with_model: Service) -> None:
    with pytest.raises(EngineError, match="nobody"):
        ask(with_model, mm.AskRequest(prompt="hello", model="nobody"))


def test_a_prompt_beyond_the_window_is_refused_in_words(with_model: Service) -> None:
    with pytest.raises(EngineError, match="token"):
        ask(with_model, mm.AskRequest(prompt="port " * 3000, with_memory=False))


def test_a_gap_in_code_is_filled(with_model: Service) -> None:
    before, after, written = tiny_llama.FACTS[0].gap
    proposed = with_model.infill(mm.InfillRequest(before=before, after=after, language_id="python"), never)
    assert proposed.text.strip() == written


def test_an_empty_prompt_is_refused(service: Service) -> None:
    with pytest.raises(EngineError, match="prompt: it is empty"):
        ask(service, mm.AskRequest(prompt=" \n"))


def test_without_a_model_nothing_is_proposed_at_the_cursor(service: Service) -> None:
    proposed = service.infill(mm.InfillRequest(before="def f():\n    "), never)
    assert proposed.text == ""
    assert proposed.degraded is not None
