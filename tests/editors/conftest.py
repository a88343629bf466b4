"""A memory with a few exchanges in it, and the environment in which an editor finds the server."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from shipped_command import remanence

from remanence.paths import Home

EXCHANGES = [
    {
        "question": "Why does parse_invoice_total raise decimal.InvalidOperation?",
        "answer": "The amount held a thousands separator. Strip it before calling Decimal:\n\n"
        "```python\nDecimal(text.replace(',', ''))\n```",
        "source": "aider",
        "model": "qwen2.5-coder",
        "language": "python",
        "timestamp": "2026-03-02T09:15:00Z",
    },
    {
        "question": "How do I retry a websocket connection with exponential backoff?",
        "answer": "Double the delay after each failure, cap it at a minute and add jitter.",
        "source": "claude_code",
        "language": "python",
        "timestamp": "2026-04-11T16:40:00Z",
    },
    {
        "question": "Which index makes the orders table fast for lookups by customer and month?",
        "answer": "A composite B-tree on (customer_id, date_trunc('month', created_at)).",
        "source": "aider",
        "language": "sql",
        "timestamp": "2026-05-20T08:05:00Z",
    },
]


@pytest.fixture(scope="module")
def memory(tmp_path_factory: pytest.TempPathFactory, embedder_folder: Path) -> Iterator[Home]:
    """A home with `EXCHANGES` imported by the shipped command; its engine ends with the module."""
    folder = tmp_path_factory.mktemp("memory")
    home = Home(folder / "home").create()
    (home.models / embedder_folder.name).symlink_to(embedder_folder, target_is_directory=True)
    file = folder / "exchanges.jsonl"
    file.write_text("".join(json.dumps(exchange) + "\n" for exchange in EXCHANGES))
    remanence(home, "import", str(file))
    yield home
    remanence(home, "stop")


@pytest.fixture
def editor_environment(memory: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where an editor started now finds `remanence` on its PATH, this memory, and no one's settings."""
    for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(tmp_path / name))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("REMANENCE_HOME", str(memory.root))
    monkeypatch.setenv("PATH", os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    project = tmp_path / "project"
    (project / ".git").mkdir(parents=True)
    return project
