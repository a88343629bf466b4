"""GGUF models by llama-cpp-python: every tokenizer and architecture of today, adapters, and JSON schemas."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from remanence.models.gguf_header import read_header
from remanence.models.gguf_prompt import Prompts, thread_count, window, written
from remanence.models.grammar_sampling import GrammarSampling
from remanence.models.json_grammar import json_grammar
from remanence.models.language_model import (
    Cancelled,
    Capabilities,
    Generation,
    LanguageModelError,
    LoadRequest,
    Usage,
)
from remanence.models.text_stream import legal

ADAPTER = "adapter.gguf"  # what an adapter's folder has for llama.cpp

_LIKELIEST, _LIKELY_SHARE = 40, 0.95
_LONGEST_PIECE = 1024
_LAID_OUT_ANEW = ("Q4_0", "Q4_K", "IQ4_NL")


def load(asked: LoadRequest, told: Callable[[float], None] = lambda share: None) -> LlamaCppModel:
    """Load the file; its header was found fit by `choosing`. `told` hears how much of it is there, 0 to 1.

    Raises LanguageModelError where the library refuses it or the adapter.
    """
    from llama_cpp import Llama

    path = Path(asked.path)
    header = read_header(path, special=True)
    Prompts(header)  # the library would fail on a damaged chat template in words of its own
    context, threads = window(asked, header), thread_count(asked)
    try:
        with _told_while_loading(told):
            library = Llama(
                str(path),
                n_ctx=context,
                n_threads=threads,
                n_threads_batch=threads,
                n_gpu_layers=asked.gpu_layers,
                # with the file mapped as well these take twice their size (Q4_0 of 203 MB: 477, 276 without)
                use_mmap=not header.quantisation.startswith(_LAID_OUT_ANEW),
                verbose=False,
            )
    except (RuntimeError, ValueError, OSError) as error:
        raise LanguageModelError(f"llama.cpp cannot load {path.name}: {error}") from error
    model = LlamaCppModel(library, header.architecture, Prompts(header, _gap(library)), context)
    try:
        model.use_adapter(asked.adapter or None)
    except LanguageModelError:
        model.close()
        raise
    return model


class LlamaCppModel:
    """A loaded model. A prompt that begins as the last one did is read from where they part."""

    def __init__(self, library: Any, architecture: str, prompts: Prompts, context: int) -> None:
        import llama_cpp

        self.capabilities = Capabilities(
            context=context, infill=prompts.fills_gaps, adapters=True, constrained=True
        )
        self._c: Any = llama_cpp
        self._library: Any = library
        self._architecture = architecture
        self._prompts = prompts
        self._vocabulary = self._c.llama_model_get_vocab(library.model)
        vocabulary = range(library.n_vocab())
        self._ends = frozenset(t for t in vocabulary if self._c.llama_vocab_is_eog(self._vocabulary, t))
        self._adapter: Any = None
        self._piece_room = ctypes.create_string_buffer(_LONGEST_PIECE)

    def generate(self, asked: Generation, cancelled: Cancelled) -> Iterator[str | Usage]:
        """Pieces of text as they are written, then one Usage."""
        grammar = None if asked.json_schema is None else json_grammar(asked.json_schema, asked.max_tokens)
        ids: list[int] = []
        for part in self._prompts.parts(asked):
            ids += [part] if isinstance(part, int) else self._tokenize(part)
        ends = self._prompts.ends(asked) | self._ends
        tokens = self._tokens(ids, asked, grammar, cancelled)
        return written(asked, cancelled, tokens, self._piece, ends, len(ids), self.capabilities.context)

    def count_tokens(self, text: str) -> int:
        """How many of the model's tokens the text takes."""
        return len(self._tokenize(legal(text)))

    def use_adapter(self, path: str | None) -> None:
        """Apply the GGUF LoRA at `path`, a file or a folder with an `adapter.gguf`, or none; takes
        milliseconds. Raises LanguageModelError where it is none for this model."""
        adapter = None if path is None else self._read_adapter(Path(path))
        context = self._library.ctx
        if adapter is None:
            failed = self._c.llama_set_adapters_lora(context, None, 0, None)
        else:
            adapters = (self._c.llama_adapter_lora_p_ctypes * 1)(adapter)
            failed = self._c.llama_set_adapters_lora(context, adapters, 1, (ctypes.c_float * 1)(1.0))
        if failed:
            raise LanguageModelError(f"llama.cpp does not apply the adapter {path}.")
        if self._adapter is not None:
            self._c.llama_adapter_lora_free(self._adapter)
        self._adapter = adapter
        self._library.reset()  # what it has read so far it read with the other weights

    def close(self) -> None:
        """Let go of the model and its adapter."""
        if self._library is not None:
            self.use_adapter(None)
            self._library.close()
            self._library = None

    def _read_adapter(self, path: Path) -> Any:
        file = path / ADAPTER if path.is_dir() else path
        if path.is_dir() and not file.exists():
            raise LanguageModelError(
                f"{path.name} has no {ADAPTER}: llama.cpp takes an adapter as a GGUF file."
            )
        header = read_header(file)
        if header.kind != "adapter":
            raise LanguageModelError(f"{file.name} is no adapter but a {header.kind}.")
        if header.architecture != self._architecture:
            raise LanguageModelError(
                f"{file.name} is an adapter for {header.architecture}, and the model is {self._architecture}."
            )
        adapter = self._c.llama_adapter_lora_init(self._library.model, str(file).encode())
        if not adapter:
            raise LanguageModelError(f"{file.name} is an adapter for another model than this one.")
        return adapter

    def _tokens(
        self, ids: Sequence[int], asked: Generation, grammar: str | None, cancelled: Cancelled
    ) -> Iterator[int | None]:
        """Tokens as they are written; None where it was cancelled while it read the prompt."""
        self._library.set_seed(asked.seed & 0x7FFFFFFF)
        tokens = self._library.generate(
            ids,
            top_k=_LIKELIEST,
            top_p=_LIKELY_SHARE,
            min_p=0.0,
            temp=max(0.0, asked.temperature),
            repeat_penalty=1.0,
        )

        def given_up(_: object) -> bool:
            return cancelled()

        reading = self._c.ggml_abort_callback(given_up)
        self._c.llama_set_abort_callback(self._library.ctx, reading, None)
        try:
            first = next(tokens)
        except RuntimeError as error:
            if not cancelled():
                raise LanguageModelError(f"llama.cpp failed: {error}") from error
            first = None
        finally:
            self._c.llama_set_abort_callback(self._library.ctx, self._c.ggml_abort_callback(), None)
        if first is None or grammar is None:
            yield first
            yield from tokens
            return
        seed = asked.seed & 0x7FFFFFFF
        sampling = GrammarSampling(self._library, grammar, asked.temperature, seed, _LIKELIEST)
        try:
            yield from sampling.tokens()  # the first one above was drawn freely, and is not written
        finally:
            sampling.close()

    def _tokenize(self, text: str) -> list[int]:
        return list(self._library.tokenize(text.encode(), add_bos=False, special=False)) if text else []

    def _piece(self, token: int) -> bytes:
        room = self._piece_room
        length = self._c.llama_token_to_piece(self._vocabulary, token, room, _LONGEST_PIECE, 0, False)
        return room.raw[: max(0, length)]


@contextmanager
def _told_while_loading(told: Callable[[float], None]) -> Generator[None]:
    """The library's class hides the callback, not the parameters that it starts from."""
    from llama_cpp import llama_cpp

    library: Any = llama_cpp
    defaults = library.llama_model_default_params

    def is_wanted(share: float, _: object) -> bool:
        told(share)
        return True

    heard = library.llama_progress_callback(is_wanted)

    def with_callback() -> Any:
        parameters = defaults()
        parameters.progress_callback = heard
        return parameters

    library.llama_model_default_params = with_callback
    try:
        yield
    finally:
        library.llama_model_default_params = defaults


def _gap(library: Any) -> tuple[int, int, int] | None:
    """The markers of a gap in code, as llama.cpp knows them by their names in many models."""
    import llama_cpp

    c: Any = llama_cpp
    vocabulary = c.llama_model_get_vocab(library.model)
    found = (
        c.llama_vocab_fim_pre(vocabulary),
        c.llama_vocab_fim_suf(vocabulary),
        c.llama_vocab_fim_mid(vocabulary),
    )
    return found if min(found) >= 0 else None
