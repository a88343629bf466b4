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


@pytest.mark.parametrize("option", ["--stream", "--no-stream"])
def test_llm_remembers(endpoint: Endpoint, upstream: UpstreamServer, tmp_path: Path, option: str) -> None:
    remember(endpoint.service, *KNOWN)
    (tmp_path / "extra-openai-models.yaml").write_text(
        f"- {{model_id: quay, model_name: tiny, api_base: '{endpoint.openai}', api_key_name: remanence}}\n"
    )
    environment = {"LLM_USER_PATH": str(tmp_path)}
    llm = programs.llm()
    programs.run(llm, ["keys", "set", "remanence", "--value", endpoint.key], tmp_path, environment)
    options = ["--no-stream"] if option == "--no-stream" else []
    said = programs.run(llm, ["-m", "quay", *options, QUESTION], tmp_path, environment)
    assert said.strip() == ANSWER
    assert upstream.last.json().get("stream", False) == (option == "--stream")
    assert "Zanzibarfort" in upstream.last.body.decode()
    memory = kept(endpoint.service, QUESTION, ANSWER)
    assert (memory.question, memory.tool) == (QUESTION, "openai")

    programs.run(
        llm, ["-c", "-m", "quay", *options, "And the cellar of the Quibblequay?"], tmp_path, environment
    )
    later = kept(endpoint.service, "Quibblequay cellar", "And the cellar")
    assert later.conversation_id == memory.conversation_id


def _llm(endpoint: Endpoint, folder: Path, *asked: str) -> str:
    """What `llm` prints, with the endpoint as its model `quay`."""
    (folder / "extra-openai-models.yaml").write_text(
        f"- {{model_id: quay, model_name: tiny, api_base: '{endpoint.openai}', api_key_name: remanence,"
        " supports_tools: true}\n"
    )
    environment = {"LLM_USER_PATH": str(folder)}
    programs.run(programs.llm(), ["keys", "set", "remanence", "--value", endpoint.key], folder, environment)
    return programs.run(programs.llm(), ["-m", "quay", *asked], folder, environment)


@pytest.mark.parametrize("option", [[], ["--no-stream"]])
def test_llm_calls_its_tools_through_it(
    endpoint: Endpoint, upstream: UpstreamServer, tmp_path: Path, option: list[str]
) -> None:
    remember(endpoint.service, *KNOWN)
    tool = "def look(at: str) -> str:\n    return f'the bolt of {at} is shut'\n"
    assert _llm(endpoint, tmp_path, *option, "--functions", tool, QUESTION).strip() == ANSWER
    first, second = (each.json()["messages"] for each in upstream.received)
    assert "Zanzibarfort" in first[-1]["content"]
    assert second[: len(first)] == first
    assert second[-1]["content"] == "the bolt of x is shut"
    assert kept(endpoint.service, QUESTION, ANSWER).question == QUESTION
    assert endpoint.service.status(m.Empty(), lambda: False).exchanges == 2


@pytest.mark.parametrize("option", [[], ["--no-stream"]])
def test_llm_shows_that_the_server_behind_is_down(
    service: Service, tmp_path: Path, option: list[str]
) -> None:
    with (
        open_endpoint(service, upstream_ollama="http://127.0.0.1:9") as opened,
        pytest.raises(AssertionError, match="cannot be reached: is it running"),
    ):
        _llm(opened, tmp_path, *option, QUESTION)
    assert service.status(m.Empty(), lambda: False).exchanges == 0


@pytest.mark.parametrize("option", ["--stream", "--no-stream"])
def test_aider_remembers(endpoint: Endpoint, upstream: UpstreamServer, tmp_path: Path, option: str) -> None:
    try:
        aider = programs.aider()
    except programs.NotInstalled as error:
        pytest.skip(f"aider is not installed: {error}")
    remember(endpoint.service, *KNOWN)
    (tmp_path / "gate.py").write_text("print('open')\n")
    upstream.answer = "gate.py\n```\nprint('the Wolpertinger is locked')\n```\n"
    options = [
        "--yes-always",
        "--no-git",
        "--no-check-update",
        "--no-show-model-warnings",
        "--analytics-disable",
    ]
    programs.run(
        aider,
        [
            "--model",
            "openai/tiny",
            "--edit-format",
            "whole",
            option,
            *options,
            "--message",
            QUESTION,
            "gate.py",
        ],
        tmp_path,
        {
            "OPENAI_API_BASE": endpoint.openai,
            "OPENAI_API_KEY": endpoint.key,
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        },
    )
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
