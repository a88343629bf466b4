"""Rows as tokens, rendered with the model's own template token for token as when it is asked.

A memory may quote what begins or ends a turn ("<|im_end|>"): in a message that is text like any other, in
training as when it is served.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from remanence.models.language_model import ChatMessage
from remanence.models.transformers_tokens import Tokens


class _Turns(Struct):
    messages: list[ChatMessage]
    facts: list[str] = []


def read_rows(path: Path, tokenizer: Any) -> list[dict[str, list[int]]]:
    """The rows of a stage as TRL takes them: `completion_mask` is 1 where the last turn stands, which is
    learned. Raises OSError, or msgspec.DecodeError where the file is none of rows."""
    tokens = Tokens(tokenizer, ())
    rows: list[dict[str, list[int]]] = []
    for line in path.read_bytes().splitlines():
        messages = msgspec.json.decode(line, type=_Turns).messages
        ids, asked = tokens.of_turns(messages)
        rows.append({"input_ids": ids, "completion_mask": [0] * asked + [1] * (len(ids) - asked)})
    return rows


def read_held_out(
    path: Path, stages: Sequence[Path], number: int, tokenizer: Any
) -> list[dict[str, list[int]]]:
    """The rows that are asked while the stage of this number is learned: all but those about facts that only
    a later one has, which grow worse the more the model learns. Raises as `read_rows`."""
    learned = [frozenset[str]().union(*_facts_of(each)) for each in stages]
    later = frozenset[str]().union(*learned[number + 1 :]).difference(*learned[: number + 1])
    about = _facts_of(path)
    rows = read_rows(path, tokenizer)
    return [row for row, facts in zip(rows, about, strict=True) if not facts & later]


def _facts_of(path: Path) -> list[frozenset[str]]:
    lines = path.read_bytes().splitlines()
    return [frozenset(msgspec.json.decode(line, type=_Turns).facts) for line in lines]
