"""Rows as tokens, rendered with the model's own template token for token as when it is asked.

A memory may quote what begins or ends a turn ("<|im_end|>"): in a message that is text like any other, in
training as when it is served.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from remanence.models.language_model import ChatMessage
from remanence.models.transformers_tokens import Tokens


class _Turns(Struct):
    messages: list[ChatMessage]


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
