"""What the sources' tests share: files of made-up conversations."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

WriteLines = Callable[..., Path]


@pytest.fixture
def write_lines(tmp_path: Path) -> WriteLines:
    """Write JSON Lines: objects as JSON, strings as they are."""

    def write(records: Iterable[object], name: str = "session.jsonl") -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        texts = [record if isinstance(record, str) else json.dumps(record) for record in records]
        path.write_text("".join(f"{text}\n" for text in texts), "utf-8")
        return path

    return write


@pytest.fixture
def write_json(tmp_path: Path) -> Callable[..., Path]:
    """Write one JSON value as a file."""

    def write(value: object, name: str = "conversation.json") -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(value), "utf-8")
        return path

    return write
