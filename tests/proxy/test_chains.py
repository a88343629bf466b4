"""Conversations that the server keeps (`/v1/responses`) are one conversation to memory: with the official
client."""

from __future__ import annotations

import json
from typing import Any

import openai
import pytest
from endpoint_in_process import Endpoint, kept, recalled, remember
from upstream_server import ANSWER, UpstreamServer

from remanence.engine import messages as m
from remanence.proxy import openai_shapes
from remanence.proxy.answers import Answered
from remanence.proxy.chains import Chains
from remanence.proxy.prompts import Prompt

QUESTION = "How do we lock the Quibblequay gate?"
FURTHER = "And how is the Quibblequay gate locked at night?"
TOOL: Any = {"type": "function", "name": "look", "parameters": {}}


@pytest.fixture
def client(endpoint: Endpoint) -> openai.OpenAI:
    return openai.OpenAI(base_url=endpoint.openai, api_key=endpoint.key, max_retries=0)


def _ask(client: openai.OpenAI, asked: Any, stream: bool = False, **more: Any) -> str:
    """The id of the answer."""
    if not stream:
        return client.responses.create(model="tiny", input=asked, **more).id
    id = ""
    for event in client.responses.create(model="tiny", input=asked, stream=True, **more):
        if event.type == "response.completed":
            id = event.response.id
    return id


def _exchanges(endpoint: Endpoint) -> int:
    return endpoint.service.status(m.Empty(), lambda: False).exchanges


@pytest.mark.parametrize("stream", [False, True])
def test_a_chain_of_answers_is_one_conversation(
    endpoint: Endpoint, upstream: UpstreamServer, client: openai.OpenAI, stream: bool
) -> None:
    last = None
    for number, question in enumerate((QUESTION, FURTHER, FURTHER)):  # the same words again: another turn
        upstream.answer = f"Turn {number} of the Wolpertinger."
        last = _ask(client, question, stream, **({"previous_response_id": last} if last else {}))
        kept(endpoint.service, "Wolpertinger", upstream.answer)
    found = [each for each in recalled(endpoint.service, "Wolpertinger turn") if "Turn" in each.answer]
    assert [each.superseded_by for each in found] == [None] * 3
    assert len({each.conversation_id for each in found}) == 1
    assert "remanence-memory" not in upstream.last.body.decode()  # what was said there is known there


def test_what_a_chain_was_told_it_is_not_told_again(
    endpoint: Endpoint, upstream: UpstreamServer, client: openai.OpenAI
) -> None:
    remember(
        endpoint.service, "Where is the latch of the Quibblequay gate?", "Behind the Zanzibarfort panel."
    )
    first = _ask(client, QUESTION)
    assert "Zanzibarfort" in upstream.last.body.decode()
    remember(endpoint.service, "Who locks the Quibblequay gate at night?", "Old Brombach does, at ten.")
    second = _ask(client, FURTHER, previous_response_id=first)
    arrived = upstream.last.body.decode()
    assert "Zanzibarfort" not in arrived
    assert "Brombach" in arrived
    _ask(client, "Who else locks the Quibblequay gate?", previous_response_id=second)
    assert "remanence-memory" not in upstream.last.body.decode()
    _ask(client, QUESTION)  # a new conversation was told nothing
    assert "Zanzibarfort" in upstream.last.body.decode()


@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_after_a_tools_result_belongs_to_the_question_before(
    endpoint: Endpoint, upstream: UpstreamServer, client: openai.OpenAI, stream: bool
) -> None:
    called = _ask(client, QUESTION, stream, tools=[TOOL])
    result: Any = [{"type": "function_call_output", "call_id": "call_1", "output": "shut"}]
    _ask(client, result, stream, tools=[TOOL], previous_response_id=called)
    assert upstream.last.json()["input"] == result
    memory = kept(endpoint.service, "how long does the snowman lock wait", ANSWER)
    assert (memory.question, memory.answer) == (QUESTION, ANSWER)
    assert _exchanges(endpoint) == 1


def test_what_goes_on_from_an_unknown_answer_begins_a_conversation(
    endpoint: Endpoint, upstream: UpstreamServer, client: openai.OpenAI
) -> None:
    result: Any = [{"type": "function_call_output", "call_id": "call_1", "output": "shut"}]
    _ask(client, result, previous_response_id="resp_of_yesterday")
    assert upstream.last.json()["input"] == result
    _ask(client, QUESTION, previous_response_id="resp_of_yesterday")
    assert kept(endpoint.service, QUESTION, ANSWER).question == QUESTION
    assert _exchanges(endpoint) == 1


def test_a_conversation_that_the_server_names_is_one(
    endpoint: Endpoint, upstream: UpstreamServer, client: openai.OpenAI
) -> None:
    for number, name in enumerate(("conv_a", {"id": "conv_a"}, "conv_b")):
        upstream.answer = f"Turn {number} of the Wolpertinger."
        _ask(client, "Go on.", conversation=name)
        kept(endpoint.service, "Wolpertinger", upstream.answer)
    found = {each.answer: each for each in recalled(endpoint.service, "Wolpertinger turn")}
    first, second, other = (found[f"Turn {number} of the Wolpertinger."] for number in range(3))
    assert first.conversation_id == second.conversation_id != other.conversation_id
    assert first.superseded_by is None


def _prompt(text: str, **more: Any) -> Prompt:
    prompt = openai_shapes.read_response(json.dumps({"input": text, **more}).encode())
    assert prompt is not None
    return prompt


def _answered(id: str, *, calls_tools: bool = False) -> Answered:
    return Answered("Yes.", "tiny", is_finished=True, calls_tools=calls_tools, id=id)


def test_two_turns_that_go_on_from_one_answer_are_two() -> None:
    chains = Chains()
    chains.note(_prompt("First?"), _answered("r1"), frozenset())
    one, other = (chains.placed(_prompt(text, previous_response_id="r1")) for text in ("One?", "Other?"))
    assert one is not None
    assert other is not None
    assert one.conversation_id == other.conversation_id == _prompt("First?").conversation_id
    assert one.turn_key != other.turn_key


def test_few_answers_are_remembered_and_few_open_questions() -> None:
    chains = Chains()
    nothing = json.dumps({"input": [], "previous_response_id": "r0"}).encode()
    chains.note(_prompt("First?"), _answered("r0", calls_tools=True), frozenset())
    for number in range(1, 100):
        chains.note(_prompt("Open?"), _answered(f"r{number}", calls_tools=True), frozenset())
    waiting = openai_shapes.read_response(nothing)
    assert waiting is not None
    assert chains.placed(waiting) is None  # its question was given up
    placed = chains.placed(_prompt("On?", previous_response_id="r0"))
    assert placed is not None
    assert placed.conversation_id == _prompt("First?").conversation_id
    for number in range(5000):
        chains.note(_prompt("On?"), _answered(f"s{number}"), frozenset())
    assert len(chains) < 5000
