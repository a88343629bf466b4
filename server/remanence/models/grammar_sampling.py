"""Tokens of llama.cpp under a grammar, at nearly the speed of free ones.

The library would hold every token of the vocabulary against the grammar each time, which takes it longer than
writing does. Here the token that is drawn freely is held against it, and all of them only where that one is
refused: as llama.cpp's own programs do it.
"""

from __future__ import annotations

import ctypes
import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from remanence.models.language_model import LanguageModelError


class GrammarSampling:
    """Draws tokens from the logits of `library`, a llama_cpp.Llama. `close` it in the end.

    Raises LanguageModelError where llama.cpp does not take the grammar.
    """

    def __init__(self, library: Any, grammar: str, temperature: float, seed: int, likeliest: int) -> None:
        import llama_cpp

        c: Any = llama_cpp
        self._c = c
        self._library = library
        self._grammar: Any = c.llama_sampler_init_grammar(
            c.llama_model_get_vocab(library.model), grammar.encode(), b"root"
        )
        if not self._grammar:
            raise LanguageModelError("llama.cpp cannot hold a text to this JSON schema: it is too large.")
        self._draw: Any = c.llama_sampler_chain_init(c.llama_sampler_chain_default_params())
        if temperature > 0:
            c.llama_sampler_chain_add(self._draw, c.llama_sampler_init_top_k(likeliest))
            c.llama_sampler_chain_add(self._draw, c.llama_sampler_init_temp(temperature))
            c.llama_sampler_chain_add(self._draw, c.llama_sampler_init_dist(seed))
        else:
            c.llama_sampler_chain_add(self._draw, c.llama_sampler_init_greedy())
        self._size: int = library.n_vocab()
        self._candidates: Any = (c.llama_token_data * self._size)()
        self._table: Any = np.frombuffer(self._candidates, dtype=[("id", "i4"), ("logit", "f4"), ("p", "f4")])

    def tokens(self) -> Iterator[int]:
        """Tokens without end, from where the library has read to; the last is an end of text, and what would
        follow it means nothing."""
        while True:
            token = self._drawn(constrained=False)
            if not self._allowed(token):
                token = self._drawn(constrained=True)
                if not self._allowed(token):
                    raise LanguageModelError("The model has no token to go on with under its JSON schema.")
            self._c.llama_sampler_accept(self._grammar, token)
            yield token
            self._library.eval([token])

    def close(self) -> None:
        """Free what llama.cpp holds."""
        self._c.llama_sampler_free(self._grammar)
        self._c.llama_sampler_free(self._draw)

    def _drawn(self, constrained: bool) -> int:
        logits = self._c.llama_get_logits_ith(self._library.ctx, -1)
        self._table["id"] = np.arange(self._size)
        self._table["logit"] = np.ctypeslib.as_array(logits, (self._size,))
        self._table["p"] = 0
        array = self._c.llama_token_data_array(self._candidates, self._size, -1, False)
        if constrained:
            self._c.llama_sampler_apply(self._grammar, ctypes.byref(array))
        self._c.llama_sampler_apply(self._draw, ctypes.byref(array))
        return int(array.data[array.selected].id)

    def _allowed(self, token: int) -> bool:
        one = (self._c.llama_token_data * 1)(self._c.llama_token_data(token, 1.0, 0.0))
        array = self._c.llama_token_data_array(one, 1, -1, False)
        self._c.llama_sampler_apply(self._grammar, ctypes.byref(array))
        return not math.isinf(one[0].logit)
