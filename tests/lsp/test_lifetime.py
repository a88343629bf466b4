"""How the server process lives and ends."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from editor_window import editor_window
from lsprotocol import types
from pygls.exceptions import JsonRpcException

from remanence.lsp.lifetime import await_death, is_alive
from remanence.paths import Home


def framed(*messages: dict[str, object]) -> bytes:
    bodies = [json.dumps({"jsonrpc": "2.0", **message}).encode() for message in messages]
    return b"".join(b"Content-Length: %d\r\n\r\n%b" % (len(body), body) for body in bodies)


def unframed(stream: bytes) -> list[dict[str, object]]:
    """The messages in a server's output; a failure if anything else is in it."""
    messages: list[dict[str, object]] = []
    while stream:
        header, _, rest = stream.partition(b"\r\n\r\n")
        first, *_ = header.split(b"\r\n")
        assert first.startswith(b"Content-Length: "), stream[:80]
        length = int(first.split(b": ")[1])
        messages.append(json.loads(rest[:length]))
        stream = rest[length:]
    return messages


SESSION = framed(
    {"id": 1, "method": "initialize", "params": {"processId": None, "capabilities": {}}},
    {"method": "initialized", "params": {}},
    {"id": 2, "method": "shutdown"},
    {"method": "exit"},
)
NOISY = """
    import os, sys, ctypes, subprocess
    from pathlib import Path
    from remanence.lsp import lifetime, server
    from remanence.paths import Home
    take = lifetime.take_stdout
    def noisily():
        kept = take()
        print("printed", flush=True)
        os.write(1, b"written to fd 1")
        libc = ctypes.CDLL(None)
        libc.puts(b"from C")
        libc.fflush(None)
        subprocess.run([sys.executable, "-c", "print('from a child')"])
        return kept
    lifetime.take_stdout = noisily
    sys.exit(server.run(Home(Path(sys.argv[1])), standalone=True))
"""


def test_nothing_but_the_protocol_reaches_stdout(home: Home) -> None:
    command = [sys.executable, "-c", textwrap.dedent(NOISY), str(home.root)]
    done = subprocess.run(command, input=SESSION, capture_output=True, timeout=60, check=False)
    assert [message.get("id") for message in unframed(done.stdout)] == [1, 2]
    for noise in (b"printed", b"written to fd 1", b"from C", b"from a child"):
        assert noise in done.stderr
    assert done.returncode == 0


@pytest.mark.parametrize(("session", "status"), [(SESSION, 0), (framed({"method": "exit"}), 1), (b"", 1)])
def test_the_exit_status_says_whether_shutdown_came_first(home: Home, session: bytes, status: int) -> None:
    command = [sys.executable, "-m", "remanence", "--home", str(home.root), "lsp", "--standalone"]
    done = subprocess.run(command, input=session, capture_output=True, timeout=60, check=False)
    assert done.returncode == status
    assert done.stderr == b""


async def test_the_server_ends_when_the_editor_dies_though_its_pipe_stays_open(home: Home) -> None:
    editor = await asyncio.create_subprocess_exec(sys.executable, "-c", "input()", stdin=subprocess.PIPE)
    async with editor_window(home, process_id=editor.pid) as window:
        await window.command("status")
        editor.kill()
        await editor.wait()
        assert await asyncio.wait_for(window.process.wait(), 30) == 1


async def test_an_editor_that_cannot_be_seen_is_not_taken_for_dead() -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    assert not is_alive(gone.pid)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(await_death(gone.pid, poll_seconds=0.01), 0.1)


async def test_a_process_is_seen_to_die() -> None:
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", "input()", stdin=subprocess.PIPE)
    watching = asyncio.create_task(await_death(process.pid, poll_seconds=0.01))
    assert is_alive(process.pid)
    process.kill()
    await process.wait()
    await asyncio.wait_for(watching, 10)


async def test_initialize_is_answered_before_any_engine_is_started(home: Home) -> None:
    async with editor_window(home, standalone=False) as window:
        assert window.initialized.server_info is not None
        assert window.initialized.server_info.name == "remanence"
        await window.command("status")
    subprocess.run([sys.executable, "-m", "remanence", "--home", str(home.root), "stop"], check=True)


async def test_a_command_is_cancelled_and_the_server_goes_on(home: Home) -> None:
    async with editor_window(home) as window:
        protocol = window.client.protocol
        params = types.ExecuteCommandParams(command="remanence.recall", arguments=[{"query": "quokka"}])
        answer = protocol.send_request_async(types.WORKSPACE_EXECUTE_COMMAND, params, msg_id="slow")
        asking = asyncio.ensure_future(answer)
        await asyncio.sleep(0)
        window.client.cancel_request(types.CancelParams(id="slow"))
        with pytest.raises(JsonRpcException) as caught:
            await asking
        assert caught.value.code == types.LSPErrorCodes.RequestCancelled
        assert (await window.command("status"))["exchanges"] == 0


async def test_shutdown_is_answered_while_commands_are_pending(home: Home) -> None:
    async with editor_window(home) as window:
        pending = [asyncio.ensure_future(window.command("recall", {"query": "quokka"})) for _ in range(5)]
        await asyncio.sleep(0)
        assert await window.client.shutdown_async(None) is None
        answers = await asyncio.gather(*pending, return_exceptions=True)
        assert all(isinstance(answer, dict | JsonRpcException) for answer in answers)
        window.client.exit(None)
        assert await asyncio.wait_for(window.process.wait(), 60) == 0


async def test_the_door_is_thin(home: Home) -> None:
    async with editor_window(home, standalone=False) as window:
        await window.command("status")
        await window.hover(window.open("file:///a.py", "parse_invoice_total"), 0, 2)
        rss_mb = resident_mb(window.process.pid)
        assert rss_mb <= 60, rss_mb
    subprocess.run([sys.executable, "-m", "remanence", "--home", str(home.root), "stop"], check=True)


def test_the_door_loads_nothing_heavy() -> None:
    script = "import remanence.lsp.server, sys; print(*sorted({name.split('.')[0] for name in sys.modules}))"
    loaded = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    ).stdout.split()
    assert not {"numpy", "faiss", "torch", "tantivy", "onnxruntime", "tokenizers", "sklearn"} & set(loaded)


async def test_logs_are_private_and_hold_nothing_that_was_said(home: Home) -> None:
    async with editor_window(home, options={"logLevel": "debug"}) as window:
        window.open("file:///p/a.py", "platypus_secret_name = 1")
        for arguments in ([{"query": 3, "platypus": "x"}], ["platypus"]):
            with pytest.raises(JsonRpcException):
                await window.command("recall", *arguments)
        params = types.HoverParams(types.TextDocumentIdentifier("file:///p/a.py"), types.Position(0, 0))
        object.__setattr__(params.position, "line", "platypus")
        with pytest.raises(JsonRpcException):
            await window.client.text_document_hover_async(params)
    log = home.logs / "lsp.log"
    assert "pygls" in log.read_text()
    assert "platypus" not in log.read_text()
    assert log.stat().st_mode & 0o777 == 0o600


def resident_mb(process_id: int) -> float:
    pages = int(Path(f"/proc/{process_id}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6
