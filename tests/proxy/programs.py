"""Real programs that speak to the endpoint, found or installed once.

aider pins many versions, so it has an environment of its own under .cache/clients; `PIP_FLAGS` reaches pip.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

from filelock import FileLock

_PLACE = Path(__file__).parents[2] / ".cache" / "clients"
_AIDER = "aider-chat==0.86.2"


class NotInstalled(Exception):
    """A program cannot be had here; the message says why."""


def aider() -> Path:
    """The program. Raises NotInstalled."""
    if sys.version_info >= (3, 13):
        raise NotInstalled(f"{_AIDER} needs Python 3.12 or earlier")
    return _installed("aider", _AIDER)


def llm() -> Path:
    """The program of the `llm` package, in this environment."""
    return Path(sys.executable).with_name("llm.exe" if os.name == "nt" else "llm")


def run(
    program: Path, arguments: list[str], folder: Path, environment: dict[str, str], said: str | None = None
) -> str:
    """Run it in a folder that is its home too; what it printed. AssertionError where it fails."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if "API_" not in name and "PROXY" not in name.upper()
    }
    done = subprocess.run(
        [str(program), *arguments],
        cwd=folder,
        env={**kept, "HOME": str(folder), "USERPROFILE": str(folder), **environment},
        input=said,
        stdin=subprocess.DEVNULL if said is None else None,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _installed(name: str, requirement: str) -> Path:
    _PLACE.mkdir(parents=True, exist_ok=True)
    folder = _PLACE / name
    marker = folder / "installed.json"
    scripts = folder / ("Scripts" if os.name == "nt" else "bin")
    with FileLock(_PLACE / f"{name}.lock"):
        if not marker.exists() or json.loads(marker.read_text()) != [requirement]:
            shutil.rmtree(folder, ignore_errors=True)
            _run([sys.executable, "-m", "venv", str(folder)])
            flags = shlex.split(os.environ.get("PIP_FLAGS", ""))
            _run([str(scripts / "python"), "-m", "pip", "install", "--quiet", *flags, requirement])
            marker.write_text(json.dumps([requirement]))
    return scripts / name


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.startswith("ERROR: ")]
        raise NotInstalled(said[0] if said else f"{command[2]} ended with status {done.returncode}")
