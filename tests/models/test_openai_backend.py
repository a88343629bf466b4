"""The openai backend against sockets that misbehave."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable

import pytest
from generating import at, chat, never, said, written
from rogue_server import SSE, Answer, Request, RogueServer, delta, reply, sends

from remanence.models.language_model import (
    Generation,
    Infill,
    LanguageModelError,
    Usage,
)
from remanence.models.openai_backend import estimated_tokens
from remanence.models.structured import generate_json

SCHEMA: dict[str, object] = {
    "type": "object",
    "properties": {"action": {"enum": ["delete", "ignore"]}},
    "required": ["action"],
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (reply(200, b"<!doctype html><title>Hi</title>", "text/html"), "web page"),
        (reply(200, b"  <html>", "text/plain"), "web page"),
        (reply(404, b"<html>not found</html>", "text/html"), r"knows no such model or address\.$"),
        (reply(200, b"hello", "text/plain"), "no OpenAI-compatible answer"),
        (reply(200, b"[1,2]"), "no OpenAI-compatible answer"),
        (reply(401, {"error": {"message": "no key"}}), "wants a key.*no key"),
        (reply(429, {"error": "slow down"}), "no more requests.*slow down"),
        (reply(500, {"detail": "boom"}), r"failed \(500\): boom"),
        (reply(503, b""), r"failed \(503\)\.$"),
        (reply(400, {"error": {"message": "maximum context length is 8"}}), "does not fit the window"),
        (
            reply(418, {"message": "teapot\x00\n" + "x" * 5000}),
            r"refuses the request \(418\): teapot x{200,300}$",
        ),
        (reply(200, {"error": {"message": "overloaded"}}), "reports an error: overloaded"),
        (SSE + delta("a") + b'data: {"error":{"message":"lost"}}\n\n', "reports an error: lost"),
        (SSE + delta("a") + b'error: {"message":"lost"}\n\n', "reports an error: lost"),
        (SSE + delta("a") + b"data: {broken\n\n", "no OpenAI-compatible answer"),
        (SSE + delta("a") + b"what is this\n\n", "no OpenAI-compatible answer"),
        (SSE + delta("a"), "closed the connection in the middle"),
        (SSE + delta("a") + b'data: {"choices": [', "closed the connection in the middle"),
        (SSE + b"data: " + b"x" * (5 << 20), "no OpenAI-compatible answer"),
        (SSE, "answered with nothing"),
        (b"", "closed the connection in the middle"),
        (b"SSH-2.0-OpenSSH\r\n", "closed the connection|could not be asked"),
        (
            reply(200, b'{"a', extra="").replace(b"Content-Length: 3", b"Content-Length: 99"),
            "closed the connection",
        ),
        (
            reply(302, b"", extra="Location: http://example.org/v1/chat/completions\r\n"),
            "sends requests on to example.org",
        ),
        (reply(307, b"", extra="Location: /v1/chat/completions\r\n"), "on and on"),
    ],
)
def test_what_is_no_answer_is_one_error_in_words(
    rogue: Callable[[Answer], RogueServer], content: bytes, words: str
):
    with pytest.raises(LanguageModelError, match=words) as raised:
        written(at(rogue(sends(content)).url), chat("hi"))
    assert len(str(raised.value)) < 500
    assert "\n" not in str(raised.value)


def test_a_server_that_is_not_there_is_said_so():
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(LanguageModelError, match=rf"127.0.0.1:{port} cannot be reached"):
        written(at(f"http://127.0.0.1:{port}"), chat("hi"))


def test_a_server_that_hangs_is_given_up_after_the_time_it_has(rogue: Callable[[Answer], RogueServer]):
    for beginning in (b"", SSE, SSE + delta("a")):
        server = rogue(lambda _, connection, sent=beginning: _say_and_wait(connection, sent))
        with pytest.raises(LanguageModelError, match=r"said nothing for 0\.2 s"):
            written(at(server.url, silent_seconds=0.2), chat("hi"))


def _say_and_wait(connection: socket.socket, sent: bytes) -> None:
    connection.sendall(sent)
    connection.recv(1)


@pytest.mark.parametrize("beginning", [b"", SSE, SSE + delta("a")])
def test_cancelling_closes_the_connection_of_a_server_that_hangs(
    rogue: Callable[[Answer], RogueServer], beginning: bytes
):
    asked = threading.Event()

    def answer(_: Request, connection: socket.socket) -> None:
        connection.sendall(beginning)
        asked.set()
        server.wait_for_hang_up(connection)

    server = rogue(answer)
    _, usage = written(at(server.url), chat("hi"), asked.is_set)
    assert usage.finish == "cancelled"
    assert server.hung_up.wait(10)


def test_an_iteration_left_early_closes_the_connection(rogue: Callable[[Answer], RogueServer]):
    def answer(_: Request, connection: socket.socket) -> None:
        connection.sendall(SSE + delta("a"))
        server.wait_for_hang_up(connection)

    server = rogue(answer)
    parts = at(server.url).generate(chat("hi"), never)
    assert next(iter(parts)) == "a"
    del parts
    assert server.hung_up.wait(10)


@pytest.mark.parametrize(
    "stream",
    [
        SSE + delta("na") + delta("ïve 😀") + delta("", "stop") + b"data: [DONE]\n\n",
        SSE + delta("naïve 😀", "stop"),
        SSE + (delta("naïve ") + delta("😀") + b"data: [DONE]\n\n").replace(b"\n", b"\r\n"),
        SSE + (delta("naïve ") + delta("😀") + b"data: [DONE]\n\n").replace(b"\n", b"\r"),
        SSE + b": ping\n\nevent: x\nid: 1\nretry: 5\n" + delta("naïve 😀") + b"data:[DONE]\n\n",
        SSE + 'data: {\ndata: "choices":[{"delta":{"content":"naïve 😀"}}]}\n\ndata: [DONE]\n\n'.encode(),
        SSE + delta("naïve 😀").rstrip() + b"\n" + delta("", "stop").rstrip() + b"\ndata: [DONE]",
        b"\xef\xbb\xbf".join([SSE, delta("naïve 😀", "stop")]),
        reply(200, {"choices": [{"message": {"content": "naïve 😀"}, "finish_reason": "stop"}]}),
    ],
)
@pytest.mark.parametrize("size", [1, 7, 1 << 16])
def test_every_form_of_an_answer_is_the_same_text_however_it_is_cut(
    rogue: Callable[[Answer], RogueServer], stream: bytes, size: int
):
    def answer(_: Request, connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for start in range(0, len(stream), size):
            connection.sendall(stream[start : start + size])

    assert said(at(rogue(answer).url), chat("hi")) == "naïve 😀"


def test_what_a_server_refuses_to_be_told_is_left_out_and_not_said_again(
    rogue: Callable[[Answer], RogueServer],
):
    def answer(request: Request, connection: socket.socket) -> None:
        for name in ("stream_options", "max_tokens", "seed"):
            if name in request.body:
                message = f"Unsupported parameter: '{name}'"
                connection.sendall(reply(400, {"error": {"message": message, "param": name}}))
                return
        connection.sendall(SSE + delta("a", "stop"))

    server = rogue(answer)
    model = at(server.url)
    assert said(model, chat("hi", max_tokens=9)) == "a"
    asked = len(server.requests)
    assert asked == 4
    assert server.requests[-1].body["max_completion_tokens"] == 9
    assert said(model, chat("hi")) == "a"
    assert len(server.requests) == asked + 1


def test_an_empty_stream_is_asked_again_without_one(rogue: Callable[[Answer], RogueServer]):
    def answer(request: Request, connection: socket.socket) -> None:
        whole = {"choices": [{"message": {"content": "hello"}, "finish_reason": "stop"}]}
        connection.sendall(SSE if request.body["stream"] else reply(200, whole))

    server = rogue(answer)
    assert said(at(server.url), chat("hi")) == "hello"
    assert [request.body["stream"] for request in server.requests] == [True, False]


def test_a_server_without_schemas_is_asked_in_words_and_corrected(rogue: Callable[[Answer], RogueServer]):
    answers = iter(["I would say: delete.", 'Sure! ```json\n{"action": "delete"}\n```'])

    def answer(request: Request, connection: socket.socket) -> None:
        if "response_format" in request.body:
            connection.sendall(reply(422, {"detail": [{"loc": ["body", "response_format"], "msg": "no"}]}))
        else:
            connection.sendall(SSE + delta(next(answers), "stop"))

    server = rogue(answer)
    model = at(server.url)
    assert generate_json(model, chat("decide", json_schema=SCHEMA), never) == {"action": "delete"}
    formats = [request.body.get("response_format", {}).get("type") for request in server.requests]
    assert formats == ["json_schema", "json_object", None, None]
    assert '"enum":["delete","ignore"]' in server.requests[2].body["messages"][-1]["content"]
    assert "no JSON value" in server.requests[3].body["messages"][-1]["content"]


def test_a_gap_is_filled_by_completions_where_the_server_has_them_and_by_words_where_not(
    rogue: Callable[[Answer], RogueServer],
):
    def knows(_: Request, connection: socket.socket) -> None:
        text = {"choices": [{"text": "x + 1", "finish_reason": "stop"}]}
        connection.sendall(SSE + b"data: " + json.dumps(text).encode() + b"\n\ndata: [DONE]\n\n")

    def does_not(request: Request, connection: socket.socket) -> None:
        if request.path == "/v1/completions":
            connection.sendall(reply(404, {"error": "no such path"}))
        else:
            connection.sendall(SSE + delta("```python\nx + 1") + delta("\n```", "stop"))

    gap = Generation(infill=Infill("y = ", "\n"))
    server = rogue(knows)
    assert said(at(server.url), gap) == "x + 1"
    assert (server.requests[0].body["prompt"], server.requests[0].body["suffix"]) == ("y = ", "\n")
    server = rogue(does_not)
    model = at(server.url)
    assert [said(model, gap), said(model, gap)] == ["x + 1", "x + 1"]
    assert [request.path.rpartition("/v1")[2] for request in server.requests] == [
        "/completions",
        "/chat/completions",
        "/chat/completions",
    ]


def test_any_text_can_be_asked(rogue: Callable[[Answer], RogueServer]):
    server = rogue(sends(SSE + delta("a", "stop")))
    text = "\ud800 naïve \0 😀"
    for asked in (
        chat(text, stop=(text,)),
        Generation(prompt=text),
        Generation(infill=Infill(text, text)),
        chat(text, json_schema=SCHEMA),
    ):
        assert said(at(server.url), asked) == "a"
    assert all("naïve" in json.dumps(request.body, ensure_ascii=False) for request in server.requests)


def test_a_stop_string_is_kept_even_by_a_server_that_ignores_it(rogue: Callable[[Answer], RogueServer]):
    def answer(_: Request, connection: socket.socket) -> None:
        connection.sendall(SSE + delta("one EN") + delta("D two"))
        server.wait_for_hang_up(connection)

    server = rogue(answer)
    pieces, usage = written(at(server.url), chat("hi", stop=("END",)))
    assert "".join(pieces) == "one "
    assert usage.finish == "stop"
    assert server.hung_up.wait(10)


def test_usage_is_the_servers_or_an_estimate(rogue: Callable[[Answer], RogueServer]):
    used = b'data: {"choices":[],"usage":{"prompt_tokens":11,"completion_tokens":2}}\n\n'
    server = rogue(sends(SSE + delta("hello there", "length") + used + b"data: [DONE]\n\n"))
    assert written(at(server.url), chat("hi"))[1] == Usage(
        prompt_tokens=11, written_tokens=2, finish="length"
    )
    server = rogue(sends(SSE + delta("hello there", "stop")))
    assert written(at(server.url, count=len), chat("hi"))[1] == Usage(prompt_tokens=2, written_tokens=11)


def test_several_threads_ask_one_model_at_once(rogue: Callable[[Answer], RogueServer]):
    together = threading.Barrier(4, timeout=20)

    def answer(request: Request, connection: socket.socket) -> None:
        together.wait()
        connection.sendall(SSE + delta(request.body["messages"][0]["content"], "stop"))

    model = at(rogue(answer).url)
    found: list[str] = []
    threads = [
        threading.Thread(target=lambda i=i: found.append(said(model, chat(f"m{i}")))) for i in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == ["m0", "m1", "m2", "m3"]


def test_an_adapter_belongs_on_the_server():
    model = at("http://localhost:1/v1", context=99)
    model.use_adapter(None)
    with pytest.raises(LanguageModelError, match="localhost:1"):
        model.use_adapter("x")
    assert model.capabilities.context == 99


@pytest.mark.parametrize(
    "text", ["", "a", "word " * 40, "数据库" * 10, "привет мир", "\ud800", "def f(x):\n  return x"]
)
def test_the_estimate_counts_any_text(text: str):
    tokens = estimated_tokens(text)
    assert len(text) / 8 <= tokens <= len(text) + 2


def test_the_engine_pays_for_httpx_only_when_a_server_is_asked():
    script = (
        "import sys; import remanence.models.openai_backend as b; from remanence.settings import "
        "LanguageModelSettings as S; b.OpenAIModel(S(url='http://localhost')); print('httpx' in sys.modules)"
    )
    environment = {**os.environ, "PYTHONPATH": ""}
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, env=environment
    )
    assert done.stdout == "False\n"
