"""Nothing leaves the machine: a whole session opens no socket but the engine's own, and logs no content."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from engine_process import ask, engines_of, stop, wait_for_indexing

from remanence.engine.messages import CaptureRequest, EnrichPromptRequest, ForgetRequest, RecallRequest
from remanence.paths import Home

pytestmark = pytest.mark.e2e

# Runs in every Python process of the session, workers included, before its first import.
WATCH = """
import os, sys
WATCHED = {"socket.connect", "socket.bind", "socket.sendto", "socket.getaddrinfo", "socket.gethostbyname"}
def watch(event, arguments):
    if event in WATCHED:
        with open(os.environ["SOCKETS_SEEN"], "a") as seen:
            seen.write(f"{event} {arguments[-1]}\\n")
sys.addaudithook(watch)
"""


def test_a_whole_session_opens_no_socket_but_the_engines_own(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hooks = tmp_path / "hooks"
    hooks.mkdir()
    (hooks / "sitecustomize.py").write_text(WATCH)
    seen = tmp_path / "seen"
    monkeypatch.setenv("PYTHONPATH", str(hooks))
    monkeypatch.setenv("SOCKETS_SEEN", str(seen))
    nobody = tmp_path / "nobody"  # a home of the user's own that stays empty: no cache, no device id
    nobody.mkdir()
    monkeypatch.setenv("HOME", str(nobody))
    for name in ("XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    try:
        ask(home, lambda client: client.capture(CaptureRequest(question="Why Quibblequay?", answer="It is.")))
        ask(home, lambda client: wait_for_indexing(client, keywords=True))
        ask(home, lambda client: client.recall(RecallRequest(query="Quibblequay")))
        ask(home, lambda client: client.enrich_prompt(EnrichPromptRequest(prompt="Tell me of Quibblequay")))
        (engine,) = engines_of(home)
        for process in (engine, *engine.children(recursive=True)):
            assert process.net_connections(kind="inet") == []
        command = [sys.executable, "-m", "remanence", "--home", str(home.root), "status"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    finally:
        stop(home)
    assert list(nobody.rglob("*")) == []
    lines = seen.read_text().splitlines()
    assert any(line.startswith("socket.bind") for line in lines), "the watch saw nothing at all"
    assert [line for line in lines if str(home.socket) not in line] == []


def test_no_log_holds_what_was_said(home: Home) -> None:
    try:
        ask(
            home,
            lambda client: client.capture(
                CaptureRequest(question="Why Quibblequay?", answer="Zanzibarfort.")
            ),
        )
        ask(home, lambda client: wait_for_indexing(client, keywords=True))
        ask(home, lambda client: client.recall(RecallRequest(query="Quibblequay")))
    finally:
        stop(home)
    for log in home.logs.iterdir():
        assert b"Quibblequay" not in log.read_bytes()
        assert b"Zanzibarfort" not in log.read_bytes()


def test_forgotten_words_are_in_no_file(home: Home) -> None:
    try:
        request = CaptureRequest(question="Why Quibblequay?", answer="Because of Zanzibarfort.")
        captured = ask(home, lambda client: client.capture(request))
        ask(home, lambda client: wait_for_indexing(client, keywords=True))
        gone = ask(home, lambda client: client.forget(ForgetRequest(ids=[captured.id])))
        assert gone.forgotten == 1
        assert (
            ask(home, lambda client: client.recall(RecallRequest(query="Quibblequay Zanzibarfort"))).memories
            == []
        )
        again = ask(home, lambda client: client.capture(request))
        assert again.status == "ignored"
    finally:
        stop(home)
    for folder, _, files in os.walk(home.root):
        for name in files:
            held = (Path(folder) / name).read_bytes().lower()
            assert b"zanzibarfort" not in held, name
            assert b"quibblequay" not in held, name
