"""What is shipped for Helix and Zed says what the server understands. Neither editor is at hand to run it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import msgspec
import pytest

from remanence.lsp.options import Options

CONFIGS = Path(__file__).parents[2] / "configs"
HELIX = tomllib.loads((CONFIGS / "helix" / "languages.toml").read_text())
ZED_TASKS = json.loads((CONFIGS / "zed" / "tasks.json").read_text())


def defaults() -> dict[str, Any]:
    return {name: value for name, value in msgspec.to_builtins(Options()).items() if name != "standalone"}


def as_json(tree: object) -> str:
    return json.dumps(tree, sort_keys=True)


def test_helix_is_shown_the_servers_defaults() -> None:
    assert as_json(HELIX["language-server"]["remanence"]["config"]) == as_json(defaults())


def test_helix_asks_remanence_last_in_every_language() -> None:
    servers = [language["language-servers"] for language in HELIX["language"]]

    assert servers
    assert all(names[-1] == "remanence" and len(names) > 1 for names in servers)


def test_zed_is_shown_the_servers_defaults() -> None:
    settings = json.loads((CONFIGS / "zed" / "settings.json").read_text())

    assert as_json(settings["lsp"]["remanence"]["initialization_options"]) == as_json(defaults())


@pytest.mark.e2e
def test_helix_and_zed_start_a_server_that_answers(editor_environment: Path) -> None:
    settings = json.loads((CONFIGS / "zed" / "settings.json").read_text())
    binary = settings["lsp"]["remanence"]["binary"]
    helix = HELIX["language-server"]["remanence"]
    assert [binary["path"], *binary["arguments"]] == [helix["command"], *helix["args"]]

    request = {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
    request["params"] = {"processId": None, "rootUri": None, "capabilities": {}}
    request["params"]["initializationOptions"] = helix["config"]
    body = json.dumps(request).encode()
    done = subprocess.run(
        [shutil.which(helix["command"]) or "", *helix["args"]],
        input=b"Content-Length: %d\r\n\r\n%b" % (len(body), body),
        capture_output=True,
        timeout=60,
        check=False,
    )
    answer = json.loads(done.stdout.partition(b"\r\n\r\n")[2])
    assert "remanence.recall" in answer["result"]["capabilities"]["executeCommandProvider"]["commands"]


@pytest.mark.e2e
@pytest.mark.parametrize("task", ZED_TASKS, ids=lambda task: task["label"])
def test_the_command_of_each_zed_task_succeeds(task: dict[str, Any], editor_environment: Path) -> None:
    selection = "Why does parse_invoice_total raise decimal.InvalidOperation?"
    arguments = [selection if word == "$ZED_SELECTED_TEXT" else word for word in task["args"]]
    command = Path(sys.executable).parent / task["command"]
    done = subprocess.run([command, *arguments], capture_output=True, text=True, timeout=60, check=False)

    assert done.returncode == 0, done.stderr
    assert ("replace(',', '')" in done.stdout) == (selection in arguments)
