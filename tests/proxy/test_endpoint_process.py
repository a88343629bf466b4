"""The endpoint in a real engine: off until asked for, shown by the command, there as long as it is on."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import httpx
import openai
import psutil
import pytest
from upstream_server import ANSWER, UpstreamServer

from remanence.engine.address import read_address
from remanence.paths import Home

pytestmark = pytest.mark.e2e

QUESTION = "How do we lock the Quibblequay gate?"


def _remanence(home: Home, *arguments: str, status: int = 0) -> str:
    command = [sys.executable, "-m", "remanence", "--home", str(home.root), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == status, done.stderr
    return done.stdout + done.stderr


def _endpoint(home: Home, *arguments: str) -> dict[str, Any]:
    return json.loads(_remanence(home, "proxy", "--json", *arguments))


def _inet_sockets(home: Home) -> list[Any]:
    address = read_address(home)
    assert address is not None
    return psutil.Process(address.pid).net_connections(kind="inet")


@pytest.fixture
def running(home: Home, upstream: UpstreamServer) -> Iterator[Home]:
    """A home whose settings name the upstream, its engine ended afterwards."""
    home.settings.write_text(
        f'[proxy]\nport = 0\nupstream_ollama = "{upstream.url}"\npatience_ms = 5000\n', encoding="utf-8"
    )
    yield home
    _remanence(home, "stop")


def test_until_it_is_asked_for_no_socket_is_open(running: Home) -> None:
    _remanence(running, "capture", "--question", QUESTION, "--answer", "With the Zanzibarfort latch.")
    assert _inet_sockets(running) == []
    shown = _endpoint(running)
    assert (shown["on"], shown["answers"]) == (False, False)
    assert _inet_sockets(running) == []
    assert "is off" in _remanence(running, "proxy")


def test_it_is_turned_on_and_off_by_command(running: Home, upstream: UpstreamServer) -> None:
    _remanence(running, "capture", "--question", QUESTION, "--answer", "With the Zanzibarfort latch.")
    shown = _endpoint(running, "--start")
    assert shown["answers"]
    (listening,) = _inet_sockets(running)
    assert listening.laddr[0] == "127.0.0.1"
    client = openai.OpenAI(base_url=shown["openai"], api_key=shown["key"])
    asked: Any = [{"role": "user", "content": "How did we lock the Quibblequay gate?"}]
    assert client.chat.completions.create(model="tiny", messages=asked).choices[0].message.content == ANSWER
    assert "Zanzibarfort" in upstream.last.body.decode()
    client.close()
    found = json.loads(_remanence(running, "recall", "--json", "snowman seconds"))
    assert [memory["answer"] for memory in found["memories"]] == [ANSWER]

    _remanence(running, "stop")
    _remanence(running, "status")  # any door starts an engine, and with it what was turned on
    assert _endpoint(running, "--start")["answers"]
    shown = _endpoint(running, "--stop")
    assert (shown["on"], shown["answers"]) == (False, False)
    assert _inet_sockets(running) == []


def test_the_settings_turn_it_on_and_then_only_they_turn_it_off(running: Home) -> None:
    with running.settings.open("a", encoding="utf-8") as settings:
        settings.write("enabled = true\n")
    assert _endpoint(running, "--start")["answers"]
    assert "enabled = false" in _remanence(running, "proxy", "--stop", status=1)


def test_the_command_says_what_each_tool_needs(running: Home) -> None:
    shown = _endpoint(running, "--start")
    said = _remanence(running, "proxy")
    for tool in ("aider", "ollama", "llm", "Continue", "Cline", "avante", "Copilot"):
        assert f"\n{tool} " in said
    assert shown["key"] in said
    assert _endpoint(running)["key"] == shown["key"]


def test_key_and_state_are_their_users_alone_and_in_no_log(running: Home, upstream: UpstreamServer) -> None:
    shown = _endpoint(running, "--start")
    asked = {"model": "tiny", "messages": [{"role": "user", "content": QUESTION}]}
    headers = {"Authorization": f"Bearer {shown['key']}"}
    httpx.post(f"{shown['openai']}/chat/completions", json=asked, headers=headers)
    httpx.post(f"{shown['ollama']}/{shown['key']}/v1/chat/completions", json={**asked, "model": "page"})
    for name in ("proxy.key", "proxy.json", "proxy.on"):
        assert stat.S_IMODE((running.root / name).stat().st_mode) == 0o600
    _remanence(running, "stop")
    assert not (running.root / "proxy.json").exists()
    for log in running.logs.iterdir():
        said = log.read_text(encoding="utf-8")
        assert "Quibblequay" not in said
        assert shown["key"] not in said


def test_an_answer_under_way_is_finished_and_kept_when_the_engine_ends(
    running: Home, upstream: UpstreamServer
) -> None:
    shown = _endpoint(running, "--start")
    upstream.answer = "The Zanzibarfort goes on and on. " * 200
    asked = {"model": "tiny", "stream": True, "messages": [{"role": "user", "content": QUESTION}]}
    headers = {"Authorization": f"Bearer {shown['key']}"}
    said = b""
    stopping: subprocess.Popen[bytes] | None = None
    with httpx.stream(
        "POST", f"{shown['openai']}/chat/completions", json=asked, headers=headers, timeout=30
    ) as answer:
        for part in answer.iter_raw():
            if stopping is None:
                stopping = subprocess.Popen(
                    [sys.executable, "-m", "remanence", "--home", str(running.root), "stop"]
                )
            said += part
    assert said == upstream.sent[-1]
    assert stopping is not None
    assert stopping.wait(30) == 0
    found = json.loads(_remanence(running, "recall", "--json", QUESTION))
    assert [memory["answer"] for memory in found["memories"]] == [upstream.answer.strip()]


def test_an_engine_with_the_endpoint_on_does_not_end_for_being_idle(running: Home) -> None:
    text = running.settings.read_text(encoding="utf-8")
    running.settings.write_text(f"{text}enabled = true\n\n[engine]\nidle_minutes = 0.01\n", encoding="utf-8")
    shown = _endpoint(running, "--start")
    before = read_address(running)
    with pytest.raises(psutil.TimeoutExpired):
        psutil.Process(before.pid if before else 0).wait(3)
    assert httpx.get(f"{shown['ollama']}/{shown['key']}/v1/models").status_code == 200
