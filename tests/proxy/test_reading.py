"""What is read out of requests and answers: the user's own words, whose conversation, what was said."""

from __future__ import annotations

import gzip
import itertools
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remanence.proxy import ollama_shapes, openai_shapes
from remanence.proxy.answers import Answered, Reading
from remanence.proxy.json_members import Unreadable
from remanence.proxy.prompts import Prompt
from remanence.proxy.tool_names import tool_name

RULES = "Rules: every file is given whole, from its first line to its last, and never without its name. " * 2


def _chat(*messages: Any, **more: Any) -> Prompt | None:
    return openai_shapes.read_chat(json.dumps({**more, "messages": messages}).encode())


def _user(content: Any) -> dict[str, Any]:
    return {"role": "user", "content": content}


def _asked(prompt: Prompt | None) -> Prompt:
    assert prompt is not None
    return prompt


@pytest.mark.parametrize(
    ("content", "question"),
    [
        ("Why is it blue?", "Why is it blue?"),
        ([{"type": "text", "text": "Why?"}, {"type": "image_url", "image_url": {"url": "data:x"}}], "Why?"),
        ([{"type": "input_text", "text": "Why?"}, {"type": "text", "text": "And how?"}], "Why?\n\nAnd how?"),
        ("<task>\nWhy?\n</task>\n\n<environment_details>\n# Tabs\na.py\n</environment_details>", "Why?"),
        ("<environment_details>never closed", "<environment_details>never closed"),
        ("Why?<system-reminder>Be good.</system-reminder>", "Why?"),
    ],
)
def test_the_question_is_the_users_own_words(content: Any, question: str) -> None:
    assert _asked(_chat(_user(content))).question == question


def test_rules_that_a_tool_repeats_after_the_question_are_not_part_of_it() -> None:
    system = {"role": "system", "content": f"You are careful.\n\n{RULES}\n\nThat is all."}
    assert (
        _asked(_chat(system, _user(f"Why is it blue?\n\nSay.\n\n{RULES}"))).question
        == "Why is it blue?\n\nSay."
    )
    assert _asked(_chat(system, _user(f"Why is it blue?\n\nOther {RULES}"))).question.endswith(RULES.strip())


@pytest.mark.parametrize(
    "messages",
    [
        *(
            [],
            [{"role": "assistant", "content": "Hello."}],
            [_user([{"type": "image_url", "image_url": {}}])],
        ),
        *([_user("")], [_user("  \n")], [{"role": "user"}], [_user("### Task:\nGenerate 1-3 tags for it.")]),
        *([{"role": "system", "content": "You are a title generator. Brief."}, _user("Why?")],),
    ],
)
def test_where_nothing_is_asked_there_is_no_prompt(messages: list[Any]) -> None:
    assert _chat(*messages) is None


def test_a_block_goes_before_the_first_text_and_nowhere_else() -> None:
    parts = [{"type": "image_url", "image_url": {"url": "x"}}, {"type": "text", "text": "Why?"}]
    messages = [_user("First?"), {"role": "assistant", "content": "Yes."}, _user([*parts, parts[1]])]
    rewritten = json.loads(_asked(_chat(*messages, stream=True)).rewritten("BLOCK "))
    assert rewritten["stream"] is True
    assert rewritten["messages"][:2] == messages[:2]
    assert rewritten["messages"][2]["content"] == [parts[0], {"type": "text", "text": "BLOCK Why?"}, parts[1]]


def test_a_conversation_keeps_its_name_as_it_grows_and_as_days_go_by() -> None:
    system = {"role": "system", "content": "It is 2026-05-01, 10:31."}
    later = {"role": "system", "content": "It is 2026-05-02, 09:00."}
    first = _asked(_chat(system, _user("Why?")))
    again = _asked(_chat(later, _user("Why?")))
    second = _asked(_chat(later, _user("Why?"), {"role": "assistant", "content": "So."}, _user("And how?")))
    other = _asked(_chat(later, _user("Who?")))
    assert first.conversation_id == again.conversation_id == second.conversation_id != other.conversation_id
    assert first.turn_key == again.turn_key != second.turn_key
    assert second.said == ()


def test_an_edited_question_is_another_turn() -> None:
    said = {"role": "assistant", "content": "So."}
    turns = {
        _asked(_chat(_user("Why?"), said, _user(text))).turn_key for text in ("And how?", "And when?")
    } | {_asked(_chat(_user("Why?"), said, _user("But why?"), said, _user("And how?"))).turn_key}
    assert len(turns) == 3


def test_steps_after_the_question_are_part_of_its_answer() -> None:
    steps = [{"role": "assistant", "content": "I look.", "tool_calls": []}, {"role": "tool", "content": "x"}]
    prompt = _asked(_chat(_user("Why?"), *steps, {"role": "assistant", "content": None}))
    assert (prompt.question, prompt.said) == ("Why?", ("I look.",))


def test_a_responses_input_is_a_text_or_items() -> None:
    items = [
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Why?"}]},
        {"type": "function_call", "name": "look", "arguments": "{}", "call_id": "1"},
        {"type": "function_call_output", "call_id": "1", "output": "shut"},
    ]
    for given_input in ("Why?", items):
        body = {"input": given_input, "instructions": "Be brief.", "model": "tiny"}
        prompt = _asked(openai_shapes.read_response(json.dumps(body).encode()))
        assert (prompt.question, prompt.model) == ("Why?", "tiny")
        assert "BLOCK Why?" in prompt.rewritten("BLOCK ").decode()
    assert openai_shapes.read_response(b'{"input": 7}') is None


@pytest.mark.parametrize(
    "body",
    [
        *(
            {"prompt": ""},
            {"prompt": ["a", "b"]},
            {"prompt": [1, 2]},
            {},
            {"prompt": "def f(", "suffix": ")"},
        ),
        *(
            {"prompt": "<PRE> a <SUF>b <MID>"},
            {"prompt": "<|im_start|>user\nHi"},
            {"prompt": "[INST] Hi [/INST]"},
        ),
        *({"prompt": "<|fim_prefix|>a"}, {"prompt": "<fim_prefix>a<fim_suffix>"}, {"prompt": "<|user|>\nHi"}),
    ],
)
def test_a_prompt_that_the_client_laid_out_is_left_alone(body: dict[str, Any]) -> None:
    assert openai_shapes.read_completion(json.dumps(body).encode()) is None
    assert ollama_shapes.read_generate(json.dumps(body).encode()) is None


def test_raw_generation_is_left_alone() -> None:
    assert ollama_shapes.read_generate(b'{"prompt": "Why?", "raw": true}') is None
    assert ollama_shapes.read_generate(b'{"prompt": "Why?", "raw": false}') is not None


@given(st.binary(max_size=200))
def test_no_body_is_more_than_unreadable(body: bytes) -> None:
    for read in (
        *(openai_shapes.read_chat, openai_shapes.read_completion, openai_shapes.read_response),
        *(ollama_shapes.read_chat, ollama_shapes.read_generate),
    ):
        try:
            assert read(body) is None
        except Unreadable:
            continue


_SSE = (
    b'event: x\r\ndata: {"choices":[{"index":0,"delta":{"role":"assistant"}}],"model":"tiny"}\r\n\r\n'
    b': wait\n\ndata:{"choices":[{"index":1,"delta":{"content":"no"}},'
    b'{"index":0,"delta":{"content":"J\xc3\xa4"}}]}\n\n'
    b'data: {"choices":[{"index":0,"delta":{"content":"h\\ud83d\\ude00"},"finish_reason":"stop"}]}\n\n'
    b'data: {"choices":[],"usage":{"total_tokens":1}}\n\ndata: [DONE]\n\n'
)
_LINES = (
    b'{"model":"tiny","message":{"role":"assistant","content":"J\xc3\xa4"},"done":false}\n'
    b'{"model":"tiny","message":{"role":"assistant","content":"h\\ud83d\\ude00"},"done":true}\n'
)
_EVENTS = (
    b'event: response.created\ndata: {"type":"response.created","response":{"model":"tiny","output":[]}}\n\n'
    b'data: {"type":"response.output_text.delta","delta":"J\xc3\xa4"}\n\n'
    b'data: {"type":"response.completed","response":{"model":"tiny","status":"completed","output":['
    b'{"type":"reasoning"},{"type":"message","content":[{"type":"output_text","text":"J\xc3\xa4h\\ud83d\\ude00"}]}]}}\n\n'
)


def _sse() -> Reading:
    read = openai_shapes.said_in_completion
    return Reading("text/event-stream; charset=utf-8", "", read, read)


def _lines() -> Reading:
    return Reading("application/x-ndjson", "", ollama_shapes.said_in_line, ollama_shapes.said_in_line)


def _events() -> Reading:
    return Reading("text/event-stream", "", openai_shapes.said_in_response, openai_shapes.said_in_event)


@pytest.mark.parametrize(("new", "body"), [(_sse, _SSE), (_lines, _LINES), (_events, _EVENTS)])
@given(cuts=st.lists(st.integers(0, 600), max_size=8))
def test_an_answer_reads_the_same_however_it_is_cut(
    new: Callable[[], Reading], body: bytes, cuts: list[int]
) -> None:
    reading = new()
    bounds = [0, *sorted(cuts), len(body)]
    for begin, end in itertools.pairwise(bounds):
        reading.feed(body[begin:end])
    assert reading.answered() == Answered("Jäh😀", "tiny", is_finished=True, calls_tools=False)


def test_an_answer_that_breaks_off_is_read_as_far_as_it_came() -> None:
    reading = _sse()
    reading.feed(_SSE[: _SSE.index(b"h\\ud83d")])
    assert reading.answered() == Answered("Jä", "tiny", is_finished=False, calls_tools=False)


def test_tool_calls_are_seen_in_every_shape() -> None:
    shapes = [
        (openai_shapes.said_in_completion, {"choices": [{"message": {"content": None, "tool_calls": [{}]}}]}),
        (openai_shapes.said_in_completion, {"choices": [{"delta": {"tool_calls": [{}]}}]}),
        (openai_shapes.said_in_response, {"output": [{"type": "function_call"}], "status": "completed"}),
        (ollama_shapes.said_in_line, {"message": {"content": "", "tool_calls": [{}]}, "done": True}),
    ]
    for read, said in shapes:
        assert read(json.dumps(said).encode()).calls_tools


@pytest.mark.parametrize("body", [b"", b"<html>", b"[1]", b'{"choices": 7}', b'{"error": "full"}'])
def test_what_is_no_answer_says_nothing(body: bytes) -> None:
    read = openai_shapes.said_in_completion
    reading = Reading("application/json", "", read, read)
    reading.feed(body)
    answered = reading.answered()
    assert answered is None or answered.text == ""


def test_packed_answers_are_read_and_what_cannot_be_unpacked_is_not() -> None:
    read = openai_shapes.said_in_completion
    body = b'{"choices":[{"message":{"content":"Yes."},"finish_reason":"stop"}]}'
    for encoding, sent, text in (
        ("gzip", gzip.compress(body), "Yes."),
        ("gzip", b"junk", None),
        ("br", body, None),
    ):
        reading = Reading("application/json", encoding, read, read)
        reading.feed(sent)
        answered = reading.answered()
        assert (answered.text if answered is not None else None) == text


@pytest.mark.parametrize(
    ("agent", "title", "name"),
    [
        *(("OpenAI/Python 1.99.1", "", "openai"), ("AsyncOpenAI/Python 2.1", "", "openai")),
        *(
            ("ollama-python/0.6.3 (x86_64 linux) Python/3.11", "", "ollama"),
            ("ollama/0.12 (amd64)", "", "ollama"),
        ),
        *(("OpenAI/JS 5.1", "Cline", "cline"), ("Aider/0.86", "", "aider"), ("Continue/1.2", "", "continue")),
        *(("python-httpx/0.28", "", "proxy"), ("Mozilla/5.0 (X11)", "", "proxy"), ("", "", "proxy")),
        *(("curl/8.5", "", "proxy"), ("litellm/1.80", "", "litellm"), ("MyTool/3", "", "mytool")),
    ],
)
def test_a_tool_is_named_as_it_names_itself(agent: str, title: str, name: str) -> None:
    assert tool_name(agent, title) == name
