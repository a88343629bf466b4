"""Where the openai backend asks, and with which key."""

from __future__ import annotations

import socket
from collections.abc import Callable

import pytest
from generating import at, chat, said, written
from rogue_server import SSE, Answer, Request, RogueServer, delta, reply, sends

from remanence.models.language_model import (
    LanguageModelError,
)

KEY = "sk-very-secret-0123456789"


def test_the_key_comes_from_the_environment_and_is_in_no_message(
    rogue: Callable[[Answer], RogueServer], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("A_KEY", KEY)
    server = rogue(sends(reply(401, {"error": {"message": f"Incorrect API key: {KEY}."}})))
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
    other = rogue(sends(SSE + delta("a", "stop")))
    server = rogue(sends(reply(307, b"", extra=f"Location: {other.url}/chat/completions\r\n")))
    with pytest.raises(LanguageModelError, match="sends requests on"):
        written(at(server.url, key_env="A_KEY"), chat("hi"))
    assert other.requests == []


def test_proxies_of_the_environment_are_not_asked_for_what_is_on_this_machine(
    rogue: Callable[[Answer], RogueServer], monkeypatch: pytest.MonkeyPatch
):
    proxy = rogue(sends(reply(500, b"")))
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, proxy.url.removesuffix("/v1"))
    monkeypatch.setenv("no_proxy", "")
    server = rogue(sends(SSE + delta("hello", "stop")))
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
    server = rogue(sends(SSE + delta("a", "stop")))
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
        written(at(rogue(sends(reply(200, {"data": []}))).url, model=""), chat("hi"))
