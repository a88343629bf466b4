"""GGUF models of the first Llamas' kind, by ctransformers, which is in the package and needs no compiler.

Its own ways with text are not used: its tokenizer writes past its buffer where a character takes several
tokens, and knows no special tokens.
"""

from __future__ import annotations

import ctypes
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from remanence.models.gguf_header import read_header
from remanence.models.gguf_prompt import Prompts, thread_count, window, written
from remanence.models.language_model import (
    Cancelled,
    Capabilities,
    Generation,
    LanguageModelError,
    LoadRequest,
    Usage,
)
from remanence.models.text_stream import legal

NO_ADAPTERS = "ctransformers cannot apply adapters: `pip install 'remanence[llama]'`, and llama.cpp will."
_NO_SCHEMAS = "ctransformers cannot hold a text to a JSON schema: `pip install 'remanence[llama]'`."
_LEAST_BATCH, _LONGEST_BATCH = 8, 256  # the library's own; token by token a prompt takes three times as long
_BATCH_SECONDS = 0.08  # it cannot be interrupted within a batch, and cancelling is to be felt at once
_SURELY_MORE = 0.6  # of that: a batch that took less may be one token longer, whatever the sums say
_LIKELIEST, _LIKELY_SHARE = 40, 0.95


def load(asked: LoadRequest) -> CTransformersModel:
    """Load the file; its header was found fit by `choosing`.

    Raises LanguageModelError where the library refuses it, or an adapter is asked for.
    """
    from ctransformers.llm import LLM, Config

    if asked.adapter:
        raise LanguageModelError(NO_ADAPTERS)
    path = Path(asked.path)
    header = read_header(path, special=True)
    prompts = Prompts(header)
    context, threads = window(asked, header), thread_count(asked)
    config = Config(context_length=context, threads=threads, gpu_layers=asked.gpu_layers)
    try:
        library = LLM(str(path), "gguf", config=config, lib=None if asked.gpu_layers else _build())
    except (RuntimeError, OSError, ValueError) as error:
        raise LanguageModelError(f"ctransformers cannot load {path.name}: {error}") from error
    return CTransformersModel(library, prompts, context)


class CTransformersModel:
    """A loaded model. A prompt that begins as the last one did is read from where they part."""

    def __init__(self, library: Any, prompts: Prompts, context: int) -> None:
        self.capabilities = Capabilities(context=context, infill=prompts.fills_gaps)
        self._library: Any = library
        self._prompts = prompts
        self._batch = _LEAST_BATCH

    def generate(self, asked: Generation, cancelled: Cancelled) -> Iterator[str | Usage]:
        """Pieces of text as they are written, then one Usage."""
        if asked.json_schema is not None:
            raise LanguageModelError(_NO_SCHEMAS)
        ids: list[int] = []
        for part in self._prompts.parts(asked):
            ids += [part] if isinstance(part, int) else self._tokenize(part)
        tokens = self._tokens(ids, asked)
        ends, context = self._prompts.ends(asked), self.capabilities.context
        return written(asked, cancelled, tokens, self._piece, ends, len(ids), context)

    def count_tokens(self, text: str) -> int:
        """How many of the model's tokens the text takes."""
        return len(self._tokenize(legal(text)))

    def use_adapter(self, path: str | None) -> None:
        """None is fine, as there never is one; raises LanguageModelError for any other."""
        if path is not None:
            raise LanguageModelError(NO_ADAPTERS)

    def close(self) -> None:
        """Let go of the model."""
        self._library = None

    def _tokens(self, ids: Sequence[int], asked: Generation) -> Iterator[int | None]:
        """Tokens as they are written; None between two batches of the prompt."""
        model = self._library
        rest = list(model.prepare_inputs_for_generation(ids, reset=True))
        while rest:
            batch, rest = rest[: self._batch], rest[self._batch :]
            started = time.perf_counter()
            model.eval(batch, batch_size=len(batch))
            took = time.perf_counter() - started
            if rest:
                fitting = int(len(batch) * _BATCH_SECONDS / max(took, 1e-6))
                if took < _SURELY_MORE * _BATCH_SECONDS:
                    fitting = max(fitting, len(batch) + 1)  # a token of a longer batch costs less
                self._batch = max(_LEAST_BATCH, min(_LONGEST_BATCH, 2 * len(batch), fitting))
                yield None
        greedy = asked.temperature <= 0
        number = 0
        while True:
            token = model.sample(
                top_k=1 if greedy else _LIKELIEST,
                top_p=_LIKELY_SHARE,
                temperature=asked.temperature,
                repetition_penalty=1.0,
                # It seeds its generator anew for each token, which must not draw the same each time.
                seed=(asked.seed * 1_000_003 + number) & 0x7FFFFFFF,
            )
            yield token
            model.eval([token])
            number += 1

    def _tokenize(self, text: str) -> list[int]:
        data = text.encode()
        room = (ctypes.c_int * (len(data) + 8))()  # a byte is a token at worst
        count = self._library.ctransformers_llm_tokenize(data, False, room) if data else 0
        return list(room[:count])

    def _piece(self, token: int) -> bytes:
        return bytes(self._library.ctransformers_llm_detokenize(token) or b"")


def _build() -> str | None:
    """Which build of the library this processor takes; None where the library has to find out for itself,
    which takes it seconds."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    flags = set(next((line for line in text.splitlines() if line.startswith("flags")), "").split())
    if not flags:
        return None
    if {"avx2", "fma", "f16c"} <= flags:
        return "avx2"
    return "avx" if {"avx", "f16c"} <= flags else "basic"
