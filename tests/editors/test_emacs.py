"""The shipped Emacs file in a real Emacs with eglot and the real server: one session, each of its effects."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from shipped_command import remanence

from remanence.paths import Home

pytestmark = pytest.mark.e2e

REMANENCE_EL = Path(__file__).parents[2] / "configs" / "emacs"
SESSION = Path(__file__).parent / "eglot_session.el"


def has_eglot(emacs: str) -> bool:
    probe = "(progn (package-initialize) (unless (require 'eglot nil t) (kill-emacs 1)))"
    return (
        subprocess.run([emacs, "--batch", "--eval", probe], capture_output=True, check=False).returncode == 0
    )


@pytest.fixture
def told(editor_environment: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the session said, by name."""
    emacs = shutil.which("emacs")
    if emacs is None:
        pytest.skip("there is no Emacs (apt-get install emacs-nox elpa-eglot)")
    if not has_eglot(emacs):
        pytest.skip("Emacs has no eglot (apt-get install elpa-eglot, or Emacs 29)")
    file = editor_environment / "invoice.py"
    file.write_text("def parse_invoice_total(text):\n    return Decimal(text)\n#? why does parse_invoice_tot")
    monkeypatch.setenv("TEST_FILE", str(file))
    monkeypatch.setenv("REMANENCE_EL", str(REMANENCE_EL))
    done = subprocess.run(
        [emacs, "--batch", "-l", str(SESSION)], capture_output=True, text=True, timeout=180, check=False
    )
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = {}
    for line in done.stdout.splitlines():
        told |= json.loads(line)
    return told


def test_emacs_remembers_recalls_and_forgets(told: dict[str, Any], memory: Home) -> None:
    # Before eglot runs, the commands have a server of their own; afterwards they use eglot's.
    assert (told["eglot_before"], told["eglot_after"]) == (None, True)
    assert told["status"] >= 3
    assert told["captured"] == "stored"

    assert "Why does parse_invoice_total raise decimal.InvalidOperation?" in told["hover"]
    assert any("InvalidOperation" in label for label in told["completions"])

    assert told["recalled"].startswith("* Which axle does the penny-farthing use?")
    assert told["read_only"] is True
    assert "penny-farthing" not in told["left"]
    assert "penny-farthing" not in remanence(memory, "recall", "penny-farthing axle", "--json")

    assert told["enriched"].startswith("before\n")
    assert told["enriched"].endswith("\nafter\n")
    assert "thousands separator" in told["enriched"]
    assert "thousands separator" in told["killed"]


def test_the_file_compiles_without_a_warning(tmp_path: Path) -> None:
    emacs = shutil.which("emacs")
    if emacs is None:
        pytest.skip("there is no Emacs (apt-get install emacs-nox elpa-eglot)")
    if not has_eglot(emacs):
        pytest.skip("Emacs has no eglot (apt-get install elpa-eglot, or Emacs 29)")
    copy = shutil.copy(REMANENCE_EL / "remanence.el", tmp_path)
    flags = ["--eval", "(package-initialize)", "--eval", "(setq byte-compile-error-on-warn t)"]
    done = subprocess.run(
        [emacs, "--batch", *flags, "-f", "batch-byte-compile", copy],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
