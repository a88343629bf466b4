"""What the endpoint does not understand, or what memory has nothing to say to, passes byte for byte."""

from __future__ import annotations

import gzip
import http.client
import json
from typing import Any

import httpx
import pytest
from endpoint_in_process import Endpoint, kept, open_endpoint, recalled, remember
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from upstream_server import ODD_ERROR, UpstreamServer

from remanence.engine.service import Service

CHAT = "/v1/chat/completions"
ODD_CHAT = (
    b'{ "model":"tiny", "temperature":1.0, "big":123456789012345678901234567890, "x_unknown":'
    b'{"a":[1e3,null]},\n "messages":[ {"role":"system","content":"Be\\u0020brief."},'
    b' {"content":[{"type":"text","text":"What is on it?"},{"type":"image_url","image_url":{"url":'
    b'"data:image/png;base64,iVBORw0KGgo="},"odd":-0.0}],"role":"user","name":"x"} ] }\r\n'
)


def test_a_body_that_memory_has_nothing_to_say_to_arrives_as_it_was_written(
    endpoint: Endpoint, upstream: UpstreamServer
) -> None:
    answer = httpx.post(endpoint.ollama + CHAT, content=ODD_CHAT, headers=endpoint.headers)
    assert upstream.last.body == ODD_CHAT
    assert answer.content == upstream.sent[-1]
    assert answer.headers["x-remanence-memories"] == "0"


def test_only_the_questions_text_changes_where_memory_helps(
    endpoint: Endpoint, upstream: UpstreamServer
) -> None:
    remember(endpoint.service, "What is on the Quibblequay picture?", "A Zanzibarfort at dawn.")
    written = ODD_CHAT.replace(b"What is on it?", b"What is on the Quibblequay picture?")
    httpx.post(endpoint.ollama + CHAT, content=written, headers=endpoint.headers)
    arrived = upstream.last
    assert arrived.header("content-length") == str(len(arrived.body))
    for part in (
        *(b'"temperature":1.0', b'"big":123456789012345678901234567890', b'{"a":[1e3,null]}', b'"odd":-0.0'),
        *(b'{"role":"system","content":"Be\\u0020brief."}', b'"data:image/png;base64,iVBORw0KGgo="'),
    ):
        assert part in arrived.body
    sent, got = json.loads(written), arrived.json()
    text = got["messages"][1]["content"][0].pop("text")
    assert "Zanzibarfort" in text
    assert text.endswith(sent["messages"][1]["content"][0].pop("text"))
    assert got == sent


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("path", [CHAT, "/v1/completions", "/v1/responses", "/api/chat", "/api/generate"])
def test_answers_come_back_byte_for_byte(
    endpoint: Endpoint, upstream: UpstreamServer, path: str, stream: bool
) -> None:
    asked = {
        "model": "tiny",
        "stream": stream,
        "messages": [{"role": "user", "content": "Anything?"}],
        "prompt": "Anything?",
        "input": "Anything?",
    }
    answer = httpx.post(endpoint.ollama + path, json=asked, headers=endpoint.headers)
    assert answer.status_code == 200
    assert answer.content == upstream.sent[-1]


def test_a_packed_answer_stays_packed_and_is_still_kept(endpoint: Endpoint, upstream: UpstreamServer) -> None:
    upstream.answer = "The Quibblequay is packed with Zanzibarfort."
    question = {
        "model": "packed",
        "messages": [{"role": "user", "content": "How is the Quibblequay packed?"}],
    }
    with httpx.stream("POST", endpoint.ollama + CHAT, json=question, headers=endpoint.headers) as answer:
        assert b"".join(answer.iter_raw()) == upstream.sent[-1]
        assert answer.headers["content-encoding"] == "gzip"
    assert b"Zanzibarfort" in gzip.decompress(upstream.sent[-1])
    assert "Zanzibarfort" in kept(endpoint.service, "Quibblequay packed").answer


def test_an_error_of_the_upstream_keeps_its_status_headers_and_bytes(
    endpoint: Endpoint, upstream: UpstreamServer
) -> None:
    question = {"model": "refuses", "messages": [{"role": "user", "content": "May I?"}]}
    answer = httpx.post(endpoint.ollama + CHAT, json=question, headers=endpoint.headers)
    assert (answer.status_code, answer.content) == (429, ODD_ERROR)
    assert answer.headers["retry-after"] == "7"
    assert answer.headers.get_list("x-odd") == ["one", "two"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        *(("GET", "/v1/models"), ("GET", "/v1/models/tiny%2Fq4?x=%20y"), ("POST", "/v1/embeddings")),
        *(("GET", "/api/tags"), ("POST", "/api/show"), ("DELETE", "/api/delete"), ("POST", "/api/embed")),
        *(
            ("POST", "/api/blobs/sha256:00"),
            ("PUT", "/v1/odd"),
            ("GET", "/"),
            ("GET", "/v1/chat/completions"),
        ),
        *(("POST", "/v1/chat/completions/c1/odd"), ("PROPFIND", "/odd//path/../x;y")),
    ],
)
def test_other_requests_go_through_untouched(
    endpoint: Endpoint, upstream: UpstreamServer, method: str, path: str
) -> None:
    body = None if method == "GET" else b"\x00\xff not json"
    headers = {**endpoint.headers, "X-Mine": "yes", "Accept": "a, b"}
    connection = http.client.HTTPConnection("127.0.0.1", endpoint.port)  # httpx would tidy the path up
    connection.request(method, path, body, headers)
    answer = connection.getresponse()
    assert answer.read() == upstream.sent[-1]
    arrived = upstream.last
    assert (arrived.method, arrived.path, arrived.body) == (method, path, body or b"")
    assert (arrived.header("x-mine"), arrived.header("accept")) == ("yes", "a, b")
    assert arrived.header("transfer-encoding") is None
    connection.close()


def test_a_head_request_is_answered_without_a_body(endpoint: Endpoint) -> None:
    answer = httpx.head(endpoint.ollama + "/", headers=endpoint.headers)
    assert (answer.status_code, answer.content) == (200, b"")


def test_tool_calls_go_both_ways_untouched(endpoint: Endpoint, upstream: UpstreamServer) -> None:
    asked: dict[str, Any] = {
        "model": "tiny",
        "tools": [{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}],
        "messages": [{"role": "user", "content": "Look at x."}],
    }
    answer = httpx.post(endpoint.ollama + CHAT, json=asked, headers=endpoint.headers)
    assert answer.json()["choices"][0]["message"]["tool_calls"][0]["function"]["name"] == "look"
    assert upstream.last.json() == asked


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"not json", b"[]", b'"text"', b"\xff\xfe", b'{"messages": "none"}', b'{"messages": [3]}'),
        *(b'{"messages": [{"role": "user"}]}', b'{"messages": [{"role": "user", "content": [7]}]}'),
        *(b'{"messages": [{"role": "user", "content": "\\ud800"}]}', b"[" * 5000, b'{"messages": []}'),
        *(b'{"messages": [{"role": 5, "content": {"a": 1}}]}', b'{"\\ud83d": 1, "messages": []}'),
    ],
)
def test_what_cannot_be_read_goes_on_as_it_is(
    endpoint: Endpoint, upstream: UpstreamServer, body: bytes
) -> None:
    for path in (CHAT, "/v1/completions", "/v1/responses", "/api/chat", "/api/generate"):
        answer = httpx.post(endpoint.ollama + path, content=body, headers=endpoint.headers)
        assert answer.status_code == 200
        assert upstream.last.body == body


def test_a_packed_request_goes_on_packed(endpoint: Endpoint, upstream: UpstreamServer) -> None:
    body = gzip.compress(b'{"model":"tiny","messages":[{"role":"user","content":"Hello?"}]}')
    headers = {**endpoint.headers, "Content-Encoding": "gzip"}
    httpx.post(endpoint.ollama + CHAT, content=body, headers=headers)
    assert upstream.last.body == body
    assert upstream.last.header("content-encoding") == "gzip"


def test_a_hundred_megabytes_go_through(endpoint: Endpoint, upstream: UpstreamServer) -> None:
    body = b'{"model":"tiny","messages":[{"role":"user","content":"' + b"x" * (100 * 2**20) + b'"}]}'
    answer = httpx.post(endpoint.ollama + CHAT, content=body, headers=endpoint.headers, timeout=60)
    assert answer.content == upstream.sent[-1]
    assert upstream.last.body == body
    assert recalled(endpoint.service, "Quibblequay lock") == []  # too long to be read: not kept


def test_a_body_without_a_length_goes_through(endpoint: Endpoint, upstream: UpstreamServer) -> None:
    parts = [b'{"model":', b'"tiny"', b"}"]
    for path in ("/api/create", "/api/chat"):
        httpx.post(endpoint.ollama + path, content=iter(parts), headers=endpoint.headers)
        assert upstream.last.body == b"".join(parts)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
_MESSAGE = st.fixed_dictionaries(
    {"role": st.sampled_from(["user", "assistant", "system", "tool", "odd"]), "content": _JSON},
    optional={"tool_calls": _JSON, "images": _JSON},
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(messages=st.lists(_MESSAGE, max_size=5) | _JSON, more=st.dictionaries(st.text(), _JSON, max_size=3))
def test_any_body_arrives_with_the_same_meaning(
    endpoint: Endpoint, upstream: UpstreamServer, messages: object, more: dict[str, object]
) -> None:
    body = json.dumps({**more, "messages": messages, "model": "tiny"}).encode()
    answer = httpx.post(endpoint.ollama + "/api/chat", content=body, headers=endpoint.headers)
    assert answer.status_code == 200
    assert upstream.last.body == body


def test_v1_and_api_go_to_their_own_upstreams(service: Service, upstream: UpstreamServer) -> None:
    with open_endpoint(
        service, upstream_openai=f"{upstream.url}/deep/v1/", upstream_ollama=f"{upstream.url}/other"
    ) as opened:
        for path in ("/v1/models?a=b", "/api/tags", "/api/v0/models", "/"):
            httpx.get(opened.ollama + path, headers=opened.headers)
    arrived = [each.path for each in upstream.received]
    assert arrived == ["/deep/v1/models?a=b", "/other/api/tags", "/deep/api/v0/models", "/other/"]
