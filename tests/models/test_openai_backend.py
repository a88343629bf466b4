"""The openai backend against a real server with a real model, and against sockets that misbehave."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from jsonschema import validate
from rogue_server import SSE, Request, RogueServer, delta, reply

import tiny_llama
from remanence.models.language_model import (
    ChatMessage,
    Generation,
    Infill,
    LanguageModelError,
    Usage,
)
from remanence.models.openai_backend import OpenAIModel, estimated_tokens
from remanence.models.structured import generate_json
from remanence.settings import LanguageModelSettings

FACT = tiny_llama.FACTS[0]
KEY = "sk-very-secret-0123456789"
SCHEMA: dict[str, object] = {
    "type": "object",
    "properties": {"action": {"enum": ["delete", "ignore"]}},
    "required": ["action"],
    "additionalProperties": False,
}
Answer = Callable[[Request, socket.socket], None]


def never() -> bool:
    return False


def chat(text: str, **options: Any) -> Generation:
    return Generation(messages=(ChatMessage("user", text),), **options)


def written(
    model: OpenAIModel, asked: Generation, cancelled: Callable[[], bool] = never
) -> tuple[list[str], Usage]:
    *pieces, usage = model.generate(asked, cancelled)
    assert isinstance(usage, Usage)
    return [piece for piece in pieces if isinstance(piece, str)], usage


def said(model: OpenAIModel, asked: Generation) -> str:
    return "".join(written(model, asked)[0])


def at(url: str, model: str = "m", key_env: str = "", context: int = 0, **options: Any) -> OpenAIModel:
    return OpenAIModel(
        LanguageModelSettings(url=url, model=model, key_env=key_env, context=context), **options
    )


@pytest.fixture(scope="module")
def llama_server() -> Iterator[str]:
    """llama-cpp-python's own server with the tiny model."""
    pytest.importorskip("llama_cpp.server.app")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    place = ["--model", str(tiny_llama.gguf("F16")), "--host", "127.0.0.1", "--port", str(port)]
    process = subprocess.Popen(
        [sys.executable, "-m", "llama_cpp.server", *place, "--n_threads", "1", "--n_ctx", "512"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        for _ in range(600):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/v1/models", timeout=1).close()
                break
            except OSError:
                assert process.poll() is None
                time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


@pytest.fixture
def rogue() -> Iterator[Callable[[Answer], RogueServer]]:
    servers: list[RogueServer] = []

    def start(answer: Answer) -> RogueServer:
        servers.append(RogueServer(answer))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


@pytest.mark.e2e
def test_a_real_server_answers_word_for_word_in_pieces(llama_server: str):
    model = at(llama_server)
    for fact in tiny_llama.FACTS[:4]:
        assert said(model, chat(fact.question)) == fact.answer
    pieces, usage = written(model, chat(FACT.question))
    assert len(pieces) > 3
    assert usage.finish == "stop"
    assert usage.prompt_tokens > 5
    assert usage.written_tokens > 3


@pytest.mark.e2e
def test_a_real_server_goes_on_with_a_text_and_stops_where_it_is_told(llama_server: str):
    model = at(f"{llama_server}/v1/chat/completions")
    begun, rest = FACT.statement
    assert said(model, Generation(prompt=begun, max_tokens=20)) == rest
    assert (
        said(model, chat(FACT.question, stop=("zzz", "zz1", "zz2", "zz3", "uses port"))) == f"{FACT.service} "
    )
    assert written(model, chat(tiny_llama.ENDLESS, max_tokens=6))[1].finish == "length"


@pytest.mark.e2e
def test_a_real_server_is_held_to_a_schema_in_the_way_it_knows(llama_server: str):
    model = at(llama_server)
    for seed in range(3):
        asked = chat("decide", json_schema=SCHEMA, temperature=1.0, seed=seed, max_tokens=60)
        validate(json.loads(said(model, asked)), SCHEMA)
    validate(generate_json(model, chat("decide", json_schema=SCHEMA, max_tokens=60), never), SCHEMA)


@pytest.mark.e2e
def test_cancelling_a_real_server_leaves_it_free_for_the_next(llama_server: str):
    model = at(llama_server)
    got: list[str] = []
    usage = None
    for part in model.generate(chat(tiny_llama.ENDLESS, max_tokens=400), lambda: len(got) >= 2):
        if isinstance(part, str):
            got.append(part)
        else:
            usage = part
    assert usage is not None
    assert usage.finish == "cancelled"
    assert said(model, chat(FACT.question)) == FACT.answer


@pytest.mark.e2e
def test_a_prompt_over_a_real_servers_window_is_one_error_in_words(llama_server: str):
    with pytest.raises(LanguageModelError, match="window"):
        written(at(llama_server), chat("a " * 2000))


def _sends(content: bytes) -> Answer:
    return lambda _, connection: connection.sendall(content)


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
        written(at(rogue(_sends(content)).url), chat("hi"))
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


def test_the_key_comes_from_the_environment_and_is_in_no_message(
    rogue: Callable[[Answer], RogueServer], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("A_KEY", KEY)
    server = rogue(_sends(reply(401, {"error": {"message": f"Incorrect API key: {KEY}."}})))
    with pytest.raises(LanguageModelError, match=r"does not accept the key.*\[key\]") as raised:
        written(at(server.url, key_env="A_KEY"), chat("hi"))
    assert KEY not in str(raised.value)
    assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"
    monkeypatch.delenv("A_KEY")
    with pytest.raises(LanguageModelError, match="set the environment variable A_KEY"):
        written(at(server.url, key_env="A_KEY"), chat("hi"))
    monkeypatch.setenv("A_KEY", "line\nline")
    with pytest.raises(LanguageModelError, match="no key"):
        written(at(server.url, key_env="A_KEY"), chat("hi"))
    assert len(server.requests) == 1


def test_a_key_is_not_sent_on_to_another_host(
    rogue: Callable[[Answer], RogueServer], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("A_KEY", KEY)
    other = rogue(_sends(SSE + delta("a", "stop")))
    server = rogue(_sends(reply(307, b"", extra=f"Location: {other.url}/chat/completions\r\n")))
    with pytest.raises(LanguageModelError, match="sends requests on"):
        written(at(server.url, key_env="A_KEY"), chat("hi"))
    assert other.requests == []


def test_proxies_of_the_environment_are_not_asked_for_what_is_on_this_machine(
    rogue: Callable[[Answer], RogueServer], monkeypatch: pytest.MonkeyPatch
):
    proxy = rogue(_sends(reply(500, b"")))
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, proxy.url.removesuffix("/v1"))
    monkeypatch.setenv("no_proxy", "")
    server = rogue(_sends(SSE + delta("hello", "stop")))
    assert said(at(server.url), chat("hi")) == "hello"
    assert proxy.requests == []
    with pytest.raises(LanguageModelError):
        written(at("http://models.example"), chat("hi"))
    assert len(proxy.requests) == 1


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("", "no address"),
        ("localhost:1234", "no address"),
        ("file:///etc/passwd", "no address"),
        ("http://", "no address"),
        ("http://a b/", "no address|cannot be reached"),
        ("http://me:secret@localhost/v1", "holds no password"),
        ("http://[::1", "no address"),
    ],
)
def test_what_is_no_address_is_refused_in_words(url: str, words: str):
    with pytest.raises(LanguageModelError, match=words) as raised:
        written(at(url), chat("hi"))
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize("ending", ["", "/", "/v1", "/v1/", "/v1/chat/completions", "/v1/models"])
def test_any_form_of_the_address_leads_to_the_same_place(rogue: Callable[[Answer], RogueServer], ending: str):
    server = rogue(_sends(SSE + delta("a", "stop")))
    written(at(server.url.removesuffix("/v1") + ending), chat("hi"))
    assert [request.path for request in server.requests] == ["/v1/chat/completions"]


def test_without_a_model_the_servers_first_is_asked(rogue: Callable[[Answer], RogueServer]):
    def answer(request: Request, connection: socket.socket) -> None:
        listed = reply(200, {"data": [{"id": "first"}, {"id": "second"}]})
        connection.sendall(listed if request.method == "GET" else SSE + delta("a", "stop"))

    server = rogue(answer)
    model = at(server.url, model="")
    written(model, chat("hi"))
    written(model, chat("hi"))
    assert [request.path for request in server.requests] == [
        "/v1/models",
        "/v1/chat/completions",
        "/v1/chat/completions",
    ]
    assert server.requests[1].body["model"] == "first"
    with pytest.raises(LanguageModelError, match="lists no model"):
        written(at(rogue(_sends(reply(200, {"data": []}))).url, model=""), chat("hi"))


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
    server = rogue(_sends(SSE + delta("a", "stop")))
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
    server = rogue(_sends(SSE + delta("hello there", "length") + used + b"data: [DONE]\n\n"))
    assert written(at(server.url), chat("hi"))[1] == Usage(
        prompt_tokens=11, written_tokens=2, finish="length"
    )
    server = rogue(_sends(SSE + delta("hello there", "stop")))
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
