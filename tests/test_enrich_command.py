"""`remanence enrich`: the prompt with memory, printed or on the clipboard, from a real engine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from remanence import clipboard
from remanence.paths import Home

PROMPT = "How do we round an invoice to the cent?"
# what xclip does: keep its standard input, give it back with -o
XCLIP = '#!/bin/sh\ncase "$*" in *-o*) cat "$0.kept" ;; *) cat > "$0.kept" ;; esac\n'


def command(
    home: Home, *arguments: str, asked: str = "", path: str | None = None
) -> subprocess.CompletedProcess[str]:
    environment = {
        name: value for name, value in os.environ.items() if name not in ("DISPLAY", "WAYLAND_DISPLAY")
    }
    if path is not None:
        environment |= {"PATH": path, "DISPLAY": ":0"}
    whole = [sys.executable, "-m", "remanence", "--home", str(home.root), *arguments]
    return subprocess.run(whole, env=environment, input=asked, capture_output=True, text=True, check=False)


@pytest.fixture
def remembered(home: Home) -> Iterator[Home]:
    """A data directory with one exchange, and its engine."""
    told = ("--question", PROMPT, "--answer", "With Decimal.quantize, never with float.", "--tool", "aider")
    assert command(home, "capture", *told).returncode == 0
    yield home
    command(home, "stop")


@pytest.mark.e2e
@pytest.mark.skipif(sys.platform != "linux", reason="other systems have a clipboard of their own")
def test_the_prompt_is_printed_copied_or_given_as_json(remembered: Home, tmp_path: Path) -> None:
    printed = command(remembered, "enrich", PROMPT, "--budget", "300")
    assert printed.returncode == 0, printed.stderr
    assert "Decimal.quantize" in printed.stdout
    assert printed.stdout.endswith(f"</remanence-memory>\n\n{PROMPT}\n")

    answer = json.loads(command(remembered, "enrich", "-", "--json", asked=PROMPT).stdout)
    assert answer["prompt"] + "\n" == printed.stdout
    assert len(answer["memories"]) == 1

    no_clipboard = command(remembered, "enrich", PROMPT, "--copy")
    assert no_clipboard.returncode == 1
    assert no_clipboard.stderr.startswith("Error: No clipboard can be reached")
    assert no_clipboard.stdout == ""

    (tmp_path / "xclip").write_text(XCLIP)
    (tmp_path / "xclip").chmod(0o700)
    copied = command(remembered, "enrich", PROMPT, "--copy", path=f"{tmp_path}:{os.environ['PATH']}")
    assert copied.stdout.startswith("Copied: the prompt with 1 memory, about ")
    assert (tmp_path / "xclip.kept").read_text() + "\n" == printed.stdout

    alone = command(remembered, "enrich", PROMPT, "--workspace", "/nowhere")
    assert alone.stdout == f"{PROMPT}\n"
    assert "the prompt alone" in alone.stderr

    wrong = command(remembered, "enrich", PROMPT, "--share", "2")
    assert wrong.returncode == 1
    assert "share" in wrong.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="the programs that are looked for are Linux's")
def test_a_program_that_cannot_reach_the_display_is_no_clipboard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "xclip").write_text(
        '#!/bin/sh\ncat > /dev/null\necho "Error: Can\'t open display" >&2\nexit 1\n'
    )
    (tmp_path / "xclip").chmod(0o700)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("DISPLAY", ":77")
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    with pytest.raises(clipboard.ClipboardError, match="No clipboard"):
        clipboard.copy("text")
