"""Real programs remember by changing one address: llm, aider, and llama-cpp-python's server behind."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import ollama
import openai
import programs
import pytest
from endpoint_in_process import Endpoint, kept, open_endpoint, remember
from upstream_server import ANSWER, UpstreamServer

from remanence.engine import messages as m
from remanence.engine.service import Service

sys.path.insert(0, str(Path(__file__).parents[1]))
import tiny_llama

pytestmark = pytest.mark.e2e

QUESTION = "How do we lock the Quibblequay gate?"
KNOWN = ("Where is the latch of the Quibblequay gate?", "Behind the Zanzibarfort panel, lock it twice.")


@pytest.mark.parametrize("option", [(), ("--no-stream",)])
def test_llm_remembers(
    endpoint: Endpoint, upstream: UpstreamServer, tmp_path: Path, option: tuple[str, ...]
) -> None:
    remember(endpoint.service, *KNOWN)
    assert _llm(endpoint, tmp_path, QUESTION, *option).strip() == ANSWER
    assert upstream.last.json().get("stream", False) == (not option)
    assert "Zanzibarfort" in upstream.last.body.decode()
    memory = kept(endpoint.service, QUESTION, ANSWER)
    assert (memory.question, memory.tool) == (QUESTION, "openai")

    _llm(endpoint, tmp_path, "And the cellar of the Quibblequay?", "-c", *option)
    later = kept(endpoint.service, "Quibblequay cellar", "And the cellar")
    assert later.conversation_id == memory.conversation_id


def _llm(endpoint: Endpoint, folder: Path, *asked: str) -> str:
    return programs.run(programs.ask_llm(endpoint.openai, endpoint.key, folder, *asked))


@pytest.mark.parametrize("option", [(), ("--no-stream",)])
def test_llm_calls_its_tools_through_it(
    endpoint: Endpoint, upstream: UpstreamServer, tmp_path: Path, option: tuple[str, ...]
) -> None:
    remember(endpoint.service, *KNOWN)
    tool = "def look(at: str) -> str:\n    return f'the bolt of {at} is shut'\n"
    assert _llm(endpoint, tmp_path, QUESTION, *option, "--functions", tool).strip() == ANSWER
    first, second = (each.json()["messages"] for each in upstream.received)
    assert "Zanzibarfort" in first[-1]["content"]
    assert second[: len(first)] == first
    assert second[-1]["content"] == "the bolt of x is shut"
    assert kept(endpoint.service, QUESTION, ANSWER).question == QUESTION
    assert endpoint.service.status(m.Empty(), lambda: False).exchanges == 2


@pytest.mark.parametrize("option", ["--stream", "--no-stream"])
def test_aider_remembers(endpoint: Endpoint, upstream: UpstreamServer, tmp_path: Path, option: str) -> None:
    remember(endpoint.service, *KNOWN)
    upstream.answer = "gate.py\n```\nprint('the Wolpertinger is locked')\n```\n"
    try:
        command = programs.ask_aider(endpoint.openai, endpoint.key, tmp_path, QUESTION, option)
    except programs.NotInstalled as error:
        pytest.skip(f"aider is not installed: {error}")
    programs.run(command)
    assert (tmp_path / "gate.py").read_text() == "print('the Wolpertinger is locked')\n"
    assert upstream.last.json().get("stream", False) == (option == "--stream")
    asked = upstream.last.json()["messages"]
    assert sum("Zanzibarfort" in message["content"] for message in asked) == 1
    assert "Zanzibarfort" in [message["content"] for message in asked if message["role"] == "user"][-1]
    memory = kept(endpoint.service, QUESTION, "Wolpertinger")
    assert memory.question == QUESTION  # without the rules that aider repeats after it
    assert endpoint.service.status(m.Empty(), lambda: False).exchanges == 2


@contextmanager
def _llama_server(folder: Path) -> Generator[str]:
    """llama-cpp-python's own server with the tiny model; its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "llama_cpp.server", "--model", str(tiny_llama.gguf()), "--n_ctx", "512"]
    with (folder / "llama.log").open("wb") as log:
        server = subprocess.Popen(
            [*command, "--host", "127.0.0.1", "--port", str(port)],
            stdout=log,
            stderr=log,
            env={**os.environ, "CUDA_VISIBLE_DEVICES": ""},
        )
    try:
        deadline = time.monotonic() + 60
        while True:
            assert server.poll() is None, (folder / "llama.log").read_text()
            try:
                httpx.get(f"http://127.0.0.1:{port}/v1/models")
                break
            except httpx.ConnectError:
                assert time.monotonic() < deadline
                time.sleep(0.1)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        server.terminate()
        server.wait(20)


def test_a_real_model_behind_it_answers_and_is_remembered(service: Service, tmp_path: Path) -> None:
    pytest.importorskip("llama_cpp.server", reason="llama-cpp-python[server] is not installed")
    fact = tiny_llama.FACTS[0]
    with (
        _llama_server(tmp_path) as server,
        open_endpoint(service, upstream_openai=server, upstream_ollama="") as opened,
    ):
        client = openai.OpenAI(base_url=opened.openai, api_key=opened.key)
        direct = openai.OpenAI(base_url=server, api_key="none")
        model = client.models.list().data[0].id
        for stream in (False, True):
            said = [_said(each, model, fact.question, stream) for each in (client, direct)]
            assert said == [fact.answer, fact.answer]
        memory = kept(service, fact.question, fact.answer)
        assert (memory.question, memory.answer, memory.tool) == (fact.question, fact.answer, "openai")
        with pytest.raises(openai.APIStatusError) as refused:
            client.chat.completions.create(model=model, messages=[{"role": "user", "content": "x " * 2000}])
        with pytest.raises(openai.APIStatusError) as refused_directly:
            direct.chat.completions.create(model=model, messages=[{"role": "user", "content": "x " * 2000}])
        assert (refused.value.status_code, refused.value.body) == (
            refused_directly.value.status_code,
            refused_directly.value.body,
        )
        with pytest.raises(ollama.ResponseError):  # no Ollama is set: that is the upstream's 404
            ollama.Client(host=opened.keyed).list()


def _said(client: openai.OpenAI, model: str, question: str, stream: bool) -> str:
    messages: list[Any] = [{"role": "user", "content": question}]
    if not stream:
        done = client.chat.completions.create(model=model, messages=messages, temperature=0, max_tokens=32)
        return (done.choices[0].message.content or "").strip()
    chunks = client.chat.completions.create(
        model=model, messages=messages, temperature=0, max_tokens=32, stream=True
    )
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks).strip()
