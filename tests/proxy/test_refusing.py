"""Who may not ask is refused, what goes wrong is said in the API's own shape, who hangs up is let go."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import ollama
import openai
import pytest
from endpoint_in_process import Endpoint, kept, open_endpoint
from upstream_server import ANSWER, UpstreamServer

from remanence.engine import messages as m
from remanence.engine.service import Service
from remanence.proxy.state import read_endpoint

CHAT = "/v1/chat/completions"
QUESTION = "How do we lock the Quibblequay gate?"


def _asked(model: str = "tiny", stream: bool = False, question: str = QUESTION) -> dict[str, Any]:
    return {"model": model, "stream": stream, "messages": [{"role": "user", "content": question}]}


@pytest.mark.parametrize(
    "headers",
    [
        *(
            {},
            {"Authorization": "Bearer wrong"},
            {"Authorization": "Bearer"},
            {"Authorization": "Basic KEY"},
        ),
        *({"X-Api-Key": "wrong"}, {"Authorization": "Bearer KEYx"}, {"Authorization": "\xe9"}),
    ],
)
def test_a_request_without_the_key_gets_nowhere(
    endpoint: Endpoint, upstream: UpstreamServer, headers: dict[str, str]
) -> None:
    said: Any = {
        name: value.replace("KEY", endpoint.key).encode("latin-1") for name, value in headers.items()
    }
    for method, path in (("POST", CHAT), ("GET", "/v1/models"), ("OPTIONS", CHAT), ("GET", "/")):
        answer = httpx.request(method, endpoint.ollama + path, headers=said)
        assert answer.status_code == 401
        assert answer.json()["error"]["code"] == "invalid_api_key"
        assert not [name for name in answer.headers if name.startswith("access-control")]
    assert httpx.post(f"{endpoint.ollama}/api/chat", json=_asked(), headers=said).json().keys() == {"error"}
    assert httpx.get(f"{endpoint.ollama}/wrong/v1/models", headers=said).status_code == 401
    assert upstream.received == []


def test_the_clients_read_the_refusal_as_their_own(endpoint: Endpoint) -> None:
    with pytest.raises(openai.AuthenticationError, match="remanence proxy"):
        openai.OpenAI(base_url=endpoint.openai, api_key="wrong").models.list()
    with pytest.raises(ollama.ResponseError, match="remanence proxy") as refused:
        ollama.Client(host=endpoint.ollama).list()
    assert refused.value.status_code == 401


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8377", "127.0.0.1.evil.example", "", "10.0.0.1:1"]
)
def test_a_page_that_led_its_own_name_here_is_refused(
    endpoint: Endpoint, upstream: UpstreamServer, host: str
) -> None:
    answer = httpx.get(f"{endpoint.openai}/models", headers={**endpoint.headers, "Host": host})
    assert answer.status_code == 403
    assert upstream.received == []


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost:1234", "LOCALHOST", "[::1]:8377", "[::1]"])
def test_this_machine_goes_by_its_own_names(endpoint: Endpoint, host: str) -> None:
    answer = httpx.get(f"{endpoint.openai}/models", headers={**endpoint.headers, "Host": host})
    assert answer.status_code == 200
    assert "access-control-allow-origin" not in answer.headers


def test_the_key_may_stand_in_the_path_and_goes_no_further(
    endpoint: Endpoint, upstream: UpstreamServer
) -> None:
    own = {"Authorization": "Bearer the-users-own", "Cookie": "a=b"}
    httpx.get(f"{endpoint.keyed}/v1/models?x=1", headers=own)
    httpx.get(f"{endpoint.openai}/models", headers={"X-Api-Key": endpoint.key})
    httpx.get(f"{endpoint.openai}/models", headers=endpoint.headers)
    first, *others = upstream.received
    assert (first.path, first.header("authorization")) == ("/v1/models?x=1", "Bearer the-users-own")
    for each in upstream.received:
        assert endpoint.key not in repr(each)
    assert [each.header("authorization") for each in others] == [None, None]


def test_the_upstreams_key_comes_from_the_named_variable(
    service: Service, upstream: UpstreamServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QUAY_KEY", "sk-quay")
    with open_endpoint(
        service,
        upstream_openai=f"{upstream.url}/v1",
        upstream_ollama=upstream.url,
        upstream_key_env="QUAY_KEY",
    ) as opened:
        httpx.get(f"{opened.openai}/models", headers=opened.headers)
        httpx.get(f"{opened.ollama}/api/tags", headers=opened.headers)
    assert [each.header("authorization") for each in upstream.received] == ["Bearer sk-quay", None]


def test_an_upstream_that_is_down_is_said_in_the_apis_own_shape(service: Service) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        with open_endpoint(service, upstream_ollama=f"http://127.0.0.1:{closed.getsockname()[1]}") as opened:
            client = openai.OpenAI(base_url=opened.openai, api_key=opened.key, max_retries=0)
            with pytest.raises(openai.InternalServerError, match="cannot be reached") as down:
                client.chat.completions.create(**_asked(stream=True))
            with pytest.raises(ollama.ResponseError, match="cannot be reached"):
                ollama.Client(host=opened.keyed).chat(model="tiny", messages=[])
    assert (down.value.status_code, down.value.code) == (502, "upstream_unavailable")


def test_an_upstream_that_says_nothing_is_given_up(service: Service, upstream: UpstreamServer) -> None:
    with open_endpoint(service, upstream_ollama=upstream.url, silent_seconds=0.2) as opened:
        answer = httpx.post(opened.ollama + CHAT, json=_asked("slow"), headers=opened.headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (504, "upstream_timeout")


@pytest.mark.parametrize("path", [CHAT, "/api/chat"])
def test_a_web_page_is_no_answer(endpoint: Endpoint, path: str) -> None:
    answer = httpx.post(endpoint.ollama + path, json=_asked("page"), headers=endpoint.headers)
    assert answer.status_code == 502
    assert "web page" in str(answer.json()["error"])
    assert "Welcome" not in answer.text


def test_without_an_upstream_the_answer_says_what_to_set(service: Service) -> None:
    with open_endpoint(service, upstream_ollama="") as opened:
        answer = httpx.post(opened.ollama + CHAT, json=_asked(), headers=opened.headers)
    assert answer.status_code == 502
    assert "upstream_openai" in answer.json()["error"]["message"]


def test_an_answer_that_breaks_off_breaks_off_for_the_client_too(
    endpoint: Endpoint, upstream: UpstreamServer
) -> None:
    asked = _asked("broken", True)
    with pytest.raises(httpx.RemoteProtocolError, match="incomplete"):
        httpx.post(endpoint.ollama + CHAT, json=asked, headers=endpoint.headers)
    httpx.post(
        endpoint.ollama + CHAT, json=_asked(question="Who keeps Wolpertingers?"), headers=endpoint.headers
    )
    kept(endpoint.service, "Wolpertingers")
    # a few words that were cut off are no memory
    assert endpoint.service.status(m.Empty(), lambda: False).exchanges == 1


@pytest.mark.parametrize("length", [len(ANSWER), 2000])
def test_a_client_that_hangs_up_ends_the_upstreams_work(
    endpoint: Endpoint, upstream: UpstreamServer, length: int
) -> None:
    upstream.answer = (ANSWER * 30)[:length]
    asked = _asked("endless", True)
    with httpx.stream("POST", endpoint.ollama + CHAT, json=asked, headers=endpoint.headers) as answer:
        for part in answer.iter_raw():
            if b": wait" in part:
                break
    assert upstream.hung_up.wait(5)
    if length > 400:  # most of an answer is worth keeping, and marked as what it is
        memory = kept(endpoint.service, QUESTION)
        assert (memory.answer, memory.tags) == (upstream.answer, ["partial"])
        upstream.answer += " And then it opened."
        httpx.post(endpoint.ollama + CHAT, json=_asked("tiny", True), headers=endpoint.headers)
        assert kept(endpoint.service, QUESTION, "And then it opened.").id == memory.id
    assert endpoint.service.status(m.Empty(), lambda: False).exchanges == (length > 400)


def test_a_client_that_hangs_up_before_the_first_byte_is_let_go(
    endpoint: Endpoint, upstream: UpstreamServer
) -> None:
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(endpoint.ollama + CHAT, json=_asked("slow"), headers=endpoint.headers, timeout=0.3)
    with pytest.raises(httpx.ReadTimeout):
        httpx.request(
            "GET", endpoint.ollama + CHAT, json=_asked("slow"), headers=endpoint.headers, timeout=0.3
        )
    answer = httpx.post(endpoint.ollama + CHAT, json=_asked(), headers=endpoint.headers)
    assert answer.status_code == 200


def test_a_client_that_hangs_up_in_the_middle_of_its_question_leaves_nothing(
    endpoint: Endpoint, upstream: UpstreamServer
) -> None:
    for path in (CHAT, "/api/create"):
        with socket.create_connection(("127.0.0.1", endpoint.port)) as raw:
            head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nX-Api-Key: {endpoint.key}\r\n"
            raw.sendall(f'{head}Content-Length: 100\r\n\r\n{{"model"'.encode())
            time.sleep(0.1)
    assert httpx.get(f"{endpoint.openai}/models", headers=endpoint.headers).status_code == 200
    assert [each.path for each in upstream.received] == ["/v1/models"]


def test_an_answer_that_outlasts_the_endpoint_is_kept_as_far_as_it_came(
    service: Service, upstream: UpstreamServer
) -> None:
    upstream.answer = ANSWER * 30
    begun = threading.Event()

    def ask(opened: Endpoint) -> None:
        asked = _asked("endless", True)
        with httpx.stream("POST", opened.ollama + CHAT, json=asked, headers=opened.headers) as answer:
            for part in answer.iter_raw():
                if b": wait" in part:
                    begun.set()

    with ThreadPoolExecutor(1) as threads:
        with open_endpoint(service, upstream_ollama=upstream.url) as opened:
            asking = threads.submit(ask, opened)
            assert begun.wait(10)
        assert isinstance(asking.exception(10), httpx.RemoteProtocolError)
    assert upstream.hung_up.wait(5)
    assert kept(service, QUESTION).answer == upstream.answer


def test_two_at_once_do_not_wait_for_each_other(endpoint: Endpoint, upstream: UpstreamServer) -> None:
    async def both() -> list[bytes]:
        async with httpx.AsyncClient(headers=endpoint.headers) as client:
            waiting = asyncio.create_task(client.post(endpoint.ollama + CHAT, json=_asked("slow")))
            while not upstream.received:
                await asyncio.sleep(0.01)
            answers = await asyncio.gather(
                *(client.post(endpoint.ollama + CHAT, json=_asked("tiny", True)) for _ in range(8))
            )
            assert not waiting.done()
            waiting.cancel()
            return [answer.content for answer in answers]

    assert set(asyncio.run(both())) == set(upstream.sent)


def test_many_threads_get_their_own_answers(endpoint: Endpoint, upstream: UpstreamServer) -> None:
    def ask(number: int) -> str:
        asked = {"model": f"model-{number}", "messages": [{"role": "user", "content": f"Is it {number}?"}]}
        answer = httpx.post(endpoint.ollama + CHAT, json=asked, headers=endpoint.headers)
        return str(answer.json()["model"])

    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(ask, range(24))) == [f"model-{number}-2026" for number in range(24)]


def test_no_log_holds_what_was_said(
    endpoint: Endpoint, upstream: UpstreamServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)  # the engine writes warnings and worse
    upstream.answer = "Zanzibarfort."
    for model in ("tiny", "broken", "page", "refuses"):
        for stream in (False, True):
            try:
                httpx.post(endpoint.ollama + CHAT, json=_asked(model, stream), headers=endpoint.headers)
            except httpx.RemoteProtocolError:
                continue
    kept(endpoint.service, QUESTION)
    said = "\n".join(
        f"{each.getMessage()} {each.exc_text}" for each in caplog.records if each.name != "httpx"
    )
    assert "Quibblequay" not in said
    assert "Zanzibarfort" not in said
    assert endpoint.key not in said


def test_a_port_that_is_taken_is_said_and_had_later(service: Service, upstream: UpstreamServer) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with (
            pytest.raises(AssertionError, match=f"port {port} cannot be had"),
            open_endpoint(service, upstream_ollama=upstream.url, port=port),
        ):
            pass
    with open_endpoint(service, upstream_ollama=upstream.url, port=port) as opened:
        assert opened.port == port
    assert read_endpoint(service.home) is None


@pytest.mark.parametrize("address", ["ftp://x", "nonsense", "http://[", "http://localhost:PORT/v1"])
def test_an_upstream_that_cannot_be_one_is_said(service: Service, address: str) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with (
        pytest.raises(AssertionError, match="upstream_openai is"),
        open_endpoint(service, upstream_openai=address.replace("PORT", str(port)), port=port),
    ):
        pass


def test_an_engine_with_the_endpoint_open_counts_as_used(endpoint: Endpoint) -> None:
    assert endpoint.activity.requests == 1
