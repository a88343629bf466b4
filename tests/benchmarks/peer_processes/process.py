"""A peer's process as the driver sees it: started, asked one thing at a time, ended."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import psutil

BENCHMARKS = Path(__file__).resolve().parents[1]
SERVER = BENCHMARKS.parents[1] / "server"

# Not by PYTHONPATH: MemPalace takes what stands there out of the path, and a child would inherit it.
_BOOT = """
import runpy, sys
sys.path[:0] = sys.argv[1:3]
name = sys.argv[3]
del sys.argv[1:4]
runpy.run_module(name, run_name="__main__", alter_sys=True)
"""

# What keeps these libraries from reaching out: it is refused as well, this spares them the waiting.
_QUIET = {
    "ANONYMIZED_TELEMETRY": "False",
    "CHROMA_TELEMETRY": "False",
    "DO_NOT_TRACK": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_OFFLINE": "1",
    "MEM0_TELEMETRY": "False",
    "ORT_DISABLE_TELEMETRY": "1",
    "POSTHOG_DISABLED": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "TRANSFORMERS_OFFLINE": "1",
}
_END_S = 20.0
_KEPT = ("PATH", "LANG", "LC_ALL", "TMPDIR", "SYSTEMROOT", "LD_LIBRARY_PATH")


class PeerFailed(Exception):
    """A peer's process ended, or did not answer in time; the message has its last words."""


class PeerProcess:
    """One process of a peer over one store. Its home is the store's folder: nothing is written elsewhere."""

    def __init__(self, python: Path, module: str, folder: Path, model: Path) -> None:
        kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
        home = {"HOME": str(folder), "XDG_CACHE_HOME": str(folder)}
        name = f"peer_processes.{module}"
        self._log = folder.parent / f"{folder.name}.log"
        self.begun = time.time()
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [str(python), "-c", _BOOT, str(BENCHMARKS), str(SERVER), name, str(folder), str(model)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env={**kept, **_QUIET, **home},
                cwd=folder,
            )
        self._answers: queue.Queue[bytes] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def ask(self, request: dict[str, Any], seconds: float) -> dict[str, Any]:
        """The answer to one request. Raises PeerFailed."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            self._process.stdin.flush()
            line = self._answers.get(timeout=seconds)
        except queue.Empty:
            self._process.kill()
            raise PeerFailed(f"no answer to {request['do']!r} within {seconds:.0f} s") from None
        except OSError:
            line = b""
        if not line:
            self.end()
            raise PeerFailed(self._last_words())
        return json.loads(line)

    def reached_out(self) -> list[str]:
        """The network addresses that its processes, native code included, are connected to now."""
        family = [
            psutil.Process(self._process.pid),
            *psutil.Process(self._process.pid).children(recursive=True),
        ]
        return [
            f"{connection.raddr.ip}:{connection.raddr.port}"
            for process in family
            for connection in process.net_connections("inet")
            if connection.raddr
        ]

    def end(self) -> None:
        """Wait for it to end, and end it where it does not."""
        try:
            self._process.wait(_END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._answers.put(line)
        self._answers.put(b"")

    def _last_words(self) -> str:
        said = [line for line in self._log.read_text("utf-8", "replace").splitlines() if line.strip()]
        return said[-1].strip()[:300] if said else f"it ended with status {self._process.returncode}"
