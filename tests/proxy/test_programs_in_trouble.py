"""Real programs, llm and aider, when the server behind is down or slow, and when they go in the middle."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from pathlib import Path

import programs
import pytest
from endpoint_in_process import Endpoint, kept, open_endpoint
from programs import Command
from upstream_server import ANSWER, UpstreamServer, running

from remanence.engine import messages as m
from remanence.engine.service import Service

pytestmark = pytest.mark.e2e

QUESTION = "How do we lock the Quibblequay gate?"
Asking = Callable[..., Command]


@pytest.fixture(params=["llm", "aider"])
def ask(request: pytest.FixtureRequest) -> Asking:
    """The command by which this program asks an endpoint the question."""
    name = str(request.param)
    if name == "aider":
        try:
            programs.aider()
        except programs.NotInstalled as error:
            pytest.skip(f"aider is not installed: {error}")

    def command(opened: Endpoint, folder: Path, model: str = "tiny", *, stream: bool) -> Command:
        by = programs.ask_llm if name == "llm" else programs.ask_aider
        options = [] if stream else ["--no-stream"]
        return by(opened.openai, opened.key, folder, QUESTION, *options, model=model)

    return command


def exchanges(service: Service) -> int:
    return service.status(m.Empty(), lambda: False).exchanges


def complaint(command: Command) -> str:
    """What the program says until it ends, or begins to wait before it tries again."""
    with programs.started(command) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        errors: list[str] = []
        reading = threading.Thread(target=errors.extend, args=[process.stderr], daemon=True)
        reading.start()
        said: list[str] = []
        for line in process.stdout:
            said.append(line)
            if "Retrying in" in line:
                break
        else:
            reading.join()
    return " ".join("".join([*said, *errors]).split())  # a terminal's width breaks lines


@pytest.mark.parametrize("stream", [True, False])
def test_a_server_that_is_down_is_said_by_the_program(
    service: Service, tmp_path: Path, ask: Asking, stream: bool
) -> None:
    with open_endpoint(service, upstream_ollama="http://127.0.0.1:9") as opened:
        assert "cannot be reached: is it running" in complaint(ask(opened, tmp_path, stream=stream))
    assert exchanges(service) == 0


@pytest.mark.parametrize("stream", [True, False])
def test_a_server_that_says_nothing_is_said_by_the_program(
    service: Service, upstream: UpstreamServer, tmp_path: Path, ask: Asking, stream: bool
) -> None:
    with open_endpoint(service, upstream_ollama=upstream.url, silent_seconds=0.2) as opened:
        assert "did not answer in time" in complaint(ask(opened, tmp_path, "slow", stream=stream))
    assert exchanges(service) == 0


@pytest.mark.parametrize("stream", [True, False])
def test_a_slow_answer_arrives_whole_and_is_kept(
    service: Service, upstream: UpstreamServer, tmp_path: Path, ask: Asking, stream: bool
) -> None:
    upstream.pause = 0.4  # in pieces it takes longer than silence may
    with open_endpoint(service, upstream_ollama=upstream.url, silent_seconds=3) as opened:
        said = programs.run(ask(opened, tmp_path, stream=stream))
        assert ANSWER in " ".join(said.split())
        assert kept(service, QUESTION).answer == ANSWER
    assert len(upstream.received) == 1


@pytest.mark.parametrize("length", [len(ANSWER), 2000])
def test_a_program_that_is_killed_in_the_middle_ends_the_servers_work(
    endpoint: Endpoint, upstream: UpstreamServer, tmp_path: Path, ask: Asking, length: int
) -> None:
    whole = (ANSWER * 30)[:length]
    upstream.answer = whole
    with programs.started(ask(endpoint, tmp_path, "endless", stream=True)):
        assert upstream.begun.wait(60)
    assert upstream.hung_up.wait(10)
    if length > 400:  # most of an answer is worth keeping, and the same question asked again completes it
        memory = kept(endpoint.service, QUESTION)
        assert whole.startswith(memory.answer)
        assert memory.tags == ["partial"]
        upstream.answer += " And then it opened."
        programs.run(ask(endpoint, tmp_path, stream=True))
        assert kept(endpoint.service, QUESTION, "And then it opened.").id == memory.id
    assert exchanges(endpoint.service) == (length > 400)


def test_a_program_that_is_killed_while_it_waits_ends_the_servers_work(
    endpoint: Endpoint, upstream: UpstreamServer, tmp_path: Path, ask: Asking
) -> None:
    with programs.started(ask(endpoint, tmp_path, "slow", stream=False)):
        assert upstream.begun.wait(60)
    assert upstream.hung_up.wait(10)
    assert exchanges(endpoint.service) == 0


def test_aider_goes_on_once_the_server_is_there(service: Service, tmp_path: Path) -> None:
    """It tries again by itself; what it asked is remembered once."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with open_endpoint(service, upstream_ollama=f"http://127.0.0.1:{port}") as opened:
        try:
            command = programs.ask_aider(opened.openai, opened.key, tmp_path, QUESTION)
        except programs.NotInstalled as error:
            pytest.skip(f"aider is not installed: {error}")
        with programs.started(command) as process:
            assert process.stdout is not None
            assert any("Retrying in" in line for line in process.stdout)
            with running(port) as upstream:
                upstream.answer = "gate.py\n```\nprint('the Wolpertinger is locked')\n```\n"
                said, _ = process.communicate(timeout=120)
        assert process.returncode == 0, said
        assert (tmp_path / "gate.py").read_text() == "print('the Wolpertinger is locked')\n"
        assert kept(service, QUESTION, "Wolpertinger").question == QUESTION
    assert exchanges(service) == 1
