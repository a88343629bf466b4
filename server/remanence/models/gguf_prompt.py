"""A request as the tokens of a GGUF model, and the tokens it writes as text: what both backends share."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from itertools import chain

import psutil

from remanence.models.chat_template import ChatTemplate, Part
from remanence.models.gguf_header import GGUFHeader
from remanence.models.language_model import (
    Cancelled,
    FinishReason,
    Generation,
    LanguageModelError,
    LoadRequest,
    Usage,
)
from remanence.models.marker_names import GAP_ENDS, GAPS, TURN_ENDS
from remanence.models.text_stream import TextStream, legal

_SMALL_WINDOW = 4096
_UNSTATED_WINDOW = 2048
_ENDS = ("eos", "eot", "eom")
# The keys of the markers of a gap, now and before.
_GAP_KEYS = (("fim_pre", "prefix"), ("fim_suf", "suffix"), ("fim_mid", "middle"))


class Prompts:
    """How one model is asked, by the header of its file, which was read with its special tokens."""

    def __init__(self, header: GGUFHeader, gap: tuple[int, int, int] | None = None) -> None:
        """`gap` are the markers around a gap in code, where the library knows better than the header.

        Raises LanguageModelError where the chat template is damaged.
        """
        texts = {number: text for text, number in header.special.items()}
        bos = header.number("tokenizer.ggml.bos_token_id", -1)
        eos = header.number("tokenizer.ggml.eos_token_id", -1)
        source = header.text("tokenizer.chat_template")
        self._template = ChatTemplate(source, header.special, texts.get(bos, ""), texts.get(eos, ""))
        self._bos = bos if header.flag("tokenizer.ggml.add_bos_token", header.tokenizer == "llama") else -1
        self._nothing = next((token for token in (bos, eos) if token >= 0), 0)  # the prompt that says nothing
        ends = {header.number(f"tokenizer.ggml.{end}_token_id", -1) for end in _ENDS}
        self._ends = frozenset({*ends, *(header.special.get(name, -1) for name in TURN_ENDS)} - {-1})
        self._gap_ends = self._ends | {header.special[name] for name in GAP_ENDS if name in header.special}
        self._gap = gap or _gap(header)

    @property
    def fills_gaps(self) -> bool:
        """Whether the model has markers for a gap in code."""
        return self._gap is not None

    def parts(self, asked: Generation) -> list[Part]:
        """The prompt: text, in which nothing is special, and special tokens by number.

        Raises LanguageModelError where the model cannot be asked so.
        """
        if bool(asked.messages) + (asked.prompt is not None) + (asked.infill is not None) != 1:
            raise LanguageModelError("Exactly one of messages, prompt and infill is to be given.")
        if asked.prompt is not None:
            parts: list[Part] = [legal(asked.prompt)]
        elif asked.infill is not None:
            if self._gap is None:
                raise LanguageModelError(
                    "This model has no markers for a gap in code: take a code model for that."
                )
            before, after, middle = self._gap
            parts = [before, legal(asked.infill.before), after, legal(asked.infill.after), middle]
        else:
            parts = self._template.parts(asked.messages)
        if self._bos >= 0 and parts[:1] != [self._bos]:
            parts.insert(0, self._bos)
        return [part for part in parts if part != ""] or [self._nothing]

    def ends(self, asked: Generation) -> frozenset[int]:
        """The tokens that end what is written."""
        return self._gap_ends if asked.infill is not None else self._ends


def written(
    asked: Generation,
    cancelled: Cancelled,
    tokens: Iterator[int | None],
    piece: Callable[[int], bytes],
    ends: frozenset[int],
    prompt_tokens: int,
    context: int,
) -> Iterator[str | Usage]:
    """What a generation gives, of the tokens as the model writes them, None where it is not yet so far.

    Raises LanguageModelError, before the first token, where the prompt leaves no room in the window.
    """
    room = min(asked.max_tokens, context - prompt_tokens)
    if room < 1:
        raise LanguageModelError(
            f"The prompt is {prompt_tokens:,} tokens long, and the model's window {context:,}: "
            "shorten it, or set a larger context."
        )
    stream = TextStream(asked.stop, "ignore" if asked.json_schema is not None else "replace")
    finish: FinishReason = "length"
    count = 0
    while count < room:
        if cancelled():
            finish = "cancelled"
            break
        token = next(tokens)
        if token is None:
            continue
        count += 1
        if token in ends:
            finish = "stop"
            break
        if text := stream.feed(piece(token)):
            yield text
        if stream.stopped:
            finish = "stop"
            break
    if text := stream.rest():
        yield text
    yield Usage(prompt_tokens=prompt_tokens, written_tokens=count, finish=finish)


def window(asked: LoadRequest, header: GGUFHeader) -> int:
    """How many tokens the model is to have in view: as asked, and never more than it was made for."""
    own = header.context or _UNSTATED_WINDOW
    if asked.context:
        return min(asked.context, own)
    if own > _SMALL_WINDOW and _cache_bytes(header, own) > psutil.virtual_memory().available // 4:
        return _SMALL_WINDOW
    return own


def thread_count(asked: LoadRequest) -> int:
    """As many threads as asked for, or one for each core that this process may use."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    cores = psutil.cpu_count(logical=False) or allowed
    return asked.threads or max(1, min(allowed, cores))


def _cache_bytes(header: GGUFHeader, context: int) -> int:
    """What the keys and values of that many tokens take, in 16 bits, at most."""
    name = header.architecture
    width, layers = header.number(f"{name}.embedding_length", 4096), header.number(f"{name}.block_count", 32)
    heads = max(1, header.number(f"{name}.attention.head_count", 1))
    shared = header.number(f"{name}.attention.head_count_kv", heads)
    return 4 * context * layers * width * shared // heads


def _gap(header: GGUFHeader) -> tuple[int, int, int] | None:
    keyed = [
        next(
            (number for key in keys if (number := header.number(f"tokenizer.ggml.{key}_token_id", -1)) >= 0),
            -1,
        )
        for keys in _GAP_KEYS
    ]
    named = ([header.special.get(name, -1) for name in names] for names in GAPS)
    for before, after, middle in chain([keyed], named):
        if min(before, after, middle) >= 0:
            return before, after, middle
    return None
