"""How many tokens a row takes, as the base model's own tokenizer counts them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

Count = Callable[[str], int]

ROLES_TOKENS = 32  # what a chat template adds to a row

_CHARACTERS_A_TOKEN = 3


def token_counter(base: Path) -> Count:
    """By the tokenizer in this folder; a guess by the characters where it cannot be read cheaply."""
    try:
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_file(str(base / "tokenizer.json"))
    except Exception:  # noqa: BLE001  the library's errors are untyped, and a guess serves
        return lambda text: len(text) // _CHARACTERS_A_TOKEN
    return lambda text: len(tokenizer.encode(text, add_special_tokens=False).ids)
