"""Rows for a lexical index."""

from __future__ import annotations

from typing import Any

from remanence.memory.backlog import LexicalRow


def row(number: int, question: str, answer: str = "", **fields: Any) -> LexicalRow:
    given = {"keywords": (), "title": "", "tool": "aider", "conversation_id": "c1", "workspace": "w1"}
    return LexicalRow(row=number, revision=number, question=question, answer=answer, **{**given, **fields})
