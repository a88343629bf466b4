"""Which tokens may come next so that what is written stays JSON under a schema: llguidance's matcher.

llguidance is optional. It is one small wheel without torch, says so where a schema asks for what it cannot
hold to, and its free whitespace can be turned off: a small model otherwise writes blanks without end.
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Mapping
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from remanence.models.language_model import LanguageModelError

INSTALL = "pip install llguidance"


def available() -> bool:
    """Whether the library is there."""
    return importlib.util.find_spec("llguidance") is not None


class JsonVocabulary:
    """A model's tokens as the matcher needs them; made once for a model (a second for a large vocabulary)."""

    def __init__(self, tokenizer: object, size: int, ends: list[int]) -> None:
        """`tokenizer` is a fast tokenizer of transformers, `size` how many logits the model gives, `ends`
        the tokens that end a text."""
        import llguidance.hf

        make = cast(Any, llguidance.hf).from_tokenizer
        self.tokenizer: Any = make(tokenizer, n_vocab=size, eos_token=ends)
        self.size = size


class JsonConstraint:
    """The state of one text: ask `allowed`, then `take` what was written, until `complete`."""

    def __init__(self, vocabulary: JsonVocabulary, schema: Mapping[str, object]) -> None:
        """Raises LanguageModelError where the schema is none, or has what cannot be constrained."""
        from llguidance import LLMatcher

        matcher = cast(Any, LLMatcher)
        text = json.dumps(schema)
        grammar = matcher.grammar_from_json_schema(text, defaults={"whitespace_flexible": False})
        self._size = vocabulary.size
        self._matcher = matcher(vocabulary.tokenizer, grammar)
        self._check("This JSON schema cannot be held to")

    @property
    def complete(self) -> bool:
        """Whether the value has ended and nothing can follow."""
        return bool(self._matcher.is_stopped())

    def allowed(self) -> NDArray[np.bool_]:
        """For each token whether it may come next: shape (size,)."""
        bits = np.frombuffer(self._matcher.compute_bitmask(), dtype=np.uint8)
        self._check("The text cannot go on under its JSON schema")
        found = np.unpackbits(bits, bitorder="little")[: self._size].astype(np.bool_)
        return np.pad(found, (0, self._size - found.size))

    def take(self, token: int) -> None:
        """A token that was allowed was written."""
        self._matcher.consume_token(token)
        self._check("The text cannot go on under its JSON schema")

    def _check(self, what: str) -> None:
        if self._matcher.is_error():
            reason = str(self._matcher.get_error()).partition("\n")[0]
            raise LanguageModelError(f"{what}: {reason}")
