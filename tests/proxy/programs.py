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
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Command:
    """A program and what it is told, in a folder that is its home too."""

    program: Path
    arguments: tuple[str, ...]
    folder: Path
    environment: Mapping[str, str]


def ask_llm(address: str, key: str, folder: Path, question: str, *more: str, model: str = "tiny") -> Command:
    """`llm` asks through the endpoint at this address."""
    (folder / "extra-openai-models.yaml").write_text(
        f"- {{model_id: quay, model_name: {model}, api_base: '{address}', api_key_name: remanence,"
        " supports_tools: true}\n"
    )
    environment = {"LLM_USER_PATH": str(folder)}
    run(Command(llm(), ("keys", "set", "remanence", "--value", key), folder, environment))
    return Command(llm(), ("-m", "quay", *more, question), folder, environment)


def ask_aider(
    address: str, key: str, folder: Path, question: str, *more: str, model: str = "tiny"
) -> Command:
    """aider asks through the endpoint at this address, about the file gate.py. Raises NotInstalled."""
    (folder / "gate.py").write_text("print('open')\n")
    alone = ("--yes-always", "--no-git", "--no-check-update", "--no-show-model-warnings")
    told = ("--analytics-disable", "--edit-format", "whole", "--model", f"openai/{model}")
    environment = {
        "OPENAI_API_BASE": address,
        "OPENAI_API_KEY": key,
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    }
    arguments = (*alone, *told, *more, "--message", question, "gate.py")
    return Command(aider(), arguments, folder, environment)


def run(command: Command) -> str:
    """What it printed. AssertionError where it fails."""
    with started(command) as process:
        said, complaint = process.communicate(timeout=120)
    assert process.returncode == 0, said + complaint
    return said


@contextmanager
def started(command: Command) -> Generator[subprocess.Popen[str]]:
    """The program while it runs; killed at the end where it still does."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if "API_" not in name and "PROXY" not in name.upper()
    }
    home = {"HOME": str(command.folder), "USERPROFILE": str(command.folder), "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(
        [str(command.program), *command.arguments],
        cwd=command.folder,
        env={**kept, **home, **command.environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


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
