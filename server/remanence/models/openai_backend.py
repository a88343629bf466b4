"""Any OpenAI-compatible server as a language model: LM Studio, Ollama, llama-server, vLLM, one far away.

It runs in the engine, for there is nothing to load. Servers differ in what they know beyond the chat: what
one refuses is left out or asked in another way, and that is remembered.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any, cast

import msgspec

from remanence.models.language_model import (
    Cancelled,
    Capabilities,
    ChatMessage,
    FinishReason,
    Generation,
    Infill,
    LanguageModelError,
    Usage,
)
from remanence.models.openai_answers import Event, Refused
from remanence.models.openai_connection import CancelledRequest, Server, events
from remanence.models.structured import told
from remanence.models.text_stream import TextStream, legal
from remanence.settings import LanguageModelSettings

_UNKNOWN_CONTEXT = 4096
_MOST_STOPS = 4  # more are refused by OpenAI's own; the others are looked for here
# What a server may refuse to be told, and what it is told instead.
_OPTIONAL = ("stream_options", "seed", "stop", "temperature", "max_tokens")
_NO_END_POINT = {404, 405, 501}
_NO_SUFFIX = {400, 404, 405, 422, 500, 501}
_FAILED = 500  # for whatever reason: the next gap may go well
_FENCE = re.compile(r"\A\s*```[\w+#.-]*\n(.*?)\n?```\s*\Z", re.S)

Count = Callable[[str], int]
Body = dict[str, object]


def estimated_tokens(text: str) -> int:
    """An estimate for a model whose tokenizer is not here: four ASCII characters a token, three bytes of
    anything else; within about a quarter on prose and code."""
    ascii_only = sum(map(str.isascii, text))
    others = len(text.encode("utf-8", "replace")) - ascii_only
    return (ascii_only + 3) // 4 + (others + 2) // 3


class _NothingCame(LanguageModelError):
    """The answer was a stream of nothing."""


class OpenAIModel:
    """A `LanguageModel` on a server. Safe to use from several threads; each generation has a connection."""

    def __init__(
        self,
        settings: LanguageModelSettings,
        *,
        count: Count = estimated_tokens,
        connect_seconds: float = 5.0,
        silent_seconds: float = 120.0,
    ) -> None:
        """`settings` name the `url` and the `model` there (without one, the server's first is asked), and
        `context`, its window, where that is known. Nothing is sent yet."""
        self._server = Server(settings.url, settings.key_env, connect_seconds, silent_seconds)
        self._model = settings.model
        self._count = count
        self._context = settings.context or _UNKNOWN_CONTEXT
        self._refused: frozenset[str] = frozenset()  # what this server does not take

    @property
    def capabilities(self) -> Capabilities:
        """What it can do: a gap is filled by words where the server has no markers, and a schema is asked for
        in every way that servers know, so what comes under one is still to be checked."""
        return Capabilities(context=self._context, infill=True, constrained=True)

    def generate(self, asked: Generation, cancelled: Cancelled) -> Iterator[str | Usage]:
        """As `LanguageModel.generate`. Raises LanguageModelError for whatever the server or the way to it
        does; cancelling closes the connection within 100 ms."""
        if (len(asked.messages) > 0) + (asked.prompt is not None) + (asked.infill is not None) != 1:
            raise LanguageModelError("Exactly one of messages, prompt and infill is to be given.")
        try:
            if not self._model:
                self._model = self._first_model(cancelled)
            if asked.infill is not None:
                yield from self._fill(asked, asked.infill, cancelled)
            elif asked.prompt is not None and asked.json_schema is None:
                yield from self._go_on(asked, asked.prompt, cancelled)
            else:
                yield from self._chat(asked, cancelled)
        except CancelledRequest:
            yield Usage(finish="cancelled")

    def count_tokens(self, text: str) -> int:
        """An estimate: the tokenizer is the server's."""
        return self._count(text)

    def use_adapter(self, path: str | None) -> None:
        """Raises LanguageModelError for any adapter: the server has the model."""
        if path is not None:
            raise LanguageModelError(f"The model is on {self._server.name}: an adapter is applied there.")

    def close(self) -> None:
        """Nothing is held."""

    def _first_model(self, cancelled: Cancelled) -> str:
        for found in events(self._server, "/models", None, cancelled):
            listed = _at(found, "data", 0, "id")
            if isinstance(listed, str):
                return listed
        raise LanguageModelError(f"{self._server.name} lists no model: name one in the settings (`model`).")

    def _fill(self, asked: Generation, gap: Infill, cancelled: Cancelled) -> Iterator[str | Usage]:
        refused = 0
        if "suffix" not in self._refused:
            body: Body = {"prompt": legal(gap.before), "suffix": legal(gap.after)}
            try:
                yield from self._streamed("/completions", body, asked, cancelled)
                return
            except Refused as error:
                if error.status not in _NO_SUFFIX:
                    raise
                refused = error.status
        words = (
            "Write the code that stands between BEFORE and AFTER, and nothing else: no explanation, "
            f"no fence, nothing of what is there already.\n\nBEFORE:\n{gap.before}\n\nAFTER:\n{gap.after}"
        )
        chat = msgspec.structs.replace(asked, messages=(ChatMessage("user", words),), infill=None)
        text, usage = "", Usage()
        for part in self._chat(chat, cancelled):
            if isinstance(part, Usage):
                usage = part
            else:
                text += part
        fenced = _FENCE.match(text)
        if refused and refused != _FAILED:
            self._refused |= {"suffix"}
        yield fenced.group(1) if fenced else text
        yield usage

    def _go_on(self, asked: Generation, prompt: str, cancelled: Cancelled) -> Iterator[str | Usage]:
        if "/completions" not in self._refused:
            try:
                yield from self._streamed("/completions", {"prompt": legal(prompt)}, asked, cancelled)
                return
            except Refused as error:
                if error.status not in _NO_END_POINT:
                    raise
        chat = msgspec.structs.replace(asked, messages=(ChatMessage("user", prompt),), prompt=None)
        yield from self._chat(chat, cancelled)
        self._refused |= {"/completions"}  # and not the model, since the chat knew it

    def _chat(self, asked: Generation, cancelled: Cancelled) -> Iterator[str | Usage]:
        schema = asked.json_schema
        if asked.prompt is not None:
            asked = msgspec.structs.replace(asked, messages=(ChatMessage("user", asked.prompt),), prompt=None)
        if schema is None:
            yield from self._streamed("/chat/completions", _messages(asked), asked, cancelled)
            return
        named = {"name": "answer", "schema": schema, "strict": True}
        for form in (
            {"type": "json_schema", "json_schema": named},
            {"type": "json_object", "schema": schema},
        ):
            kind = form["type"]
            if kind in self._refused:
                continue
            # json_object alone holds to no schema where a server does not know the field.
            worded = asked if kind == "json_schema" else told(asked, schema)
            body = {**_messages(worded), "response_format": form}
            try:
                yield from self._streamed("/chat/completions", body, worded, cancelled)
                return
            except Refused as error:
                if (
                    error.status not in (400, 422, 500, 501)
                    or error.is_over_window
                    or not _names_format(error.said)
                ):
                    raise
                self._refused |= {cast(str, kind)}
        worded = told(asked, schema)
        yield from self._streamed("/chat/completions", _messages(worded), worded, cancelled)

    def _streamed(
        self, end_point: str, asks: Body, asked: Generation, cancelled: Cancelled
    ) -> Iterator[str | Usage]:
        """The pieces of an answer; what the server refuses to be told is left out and it is asked again."""
        streamed = True
        while True:
            body = self._body(asks, asked, streamed)
            try:
                with closing(events(self._server, end_point, body, cancelled)) as answer:
                    yield from _pieces(answer, asked, self._server.name, self._count)
                return
            except _NothingCame:
                # Some servers fail like this in a stream, and say why only where none was asked for.
                if not streamed:
                    raise
                streamed = False
            except Refused as error:
                at_fault = [name for name in _OPTIONAL if name in body and name in error.said]
                if error.status not in (400, 422) or error.is_over_window or not at_fault:
                    raise
                self._refused |= {at_fault[0]}

    def _body(self, asks: Body, asked: Generation, streamed: bool) -> Body:
        limit = "max_completion_tokens" if "max_tokens" in self._refused else "max_tokens"
        body: Body = {
            "model": self._model,
            **asks,
            limit: asked.max_tokens,
            "temperature": asked.temperature,
            "seed": asked.seed,
            "stream": streamed,
        }
        if streamed:
            body["stream_options"] = {"include_usage": True}
        if stops := [legal(stop) for stop in asked.stop if stop]:
            body["stop"] = stops[:_MOST_STOPS]
        return {name: value for name, value in body.items() if name not in self._refused}


def _messages(asked: Generation) -> Body:
    return {
        "messages": [{"role": message.role, "content": legal(message.content)} for message in asked.messages]
    }


def _names_format(said: str) -> bool:
    return any(
        word in said for word in ("response_format", "json_schema", "json_object", "schema", "grammar")
    )


def _pieces(answer: Iterator[Event], asked: Generation, name: str, count: Count) -> Iterator[str | Usage]:
    text = TextStream(asked.stop)
    used, finish, done, heard = None, None, False, False
    written = ""
    for event in answer:
        heard = True
        if event is None:
            done = True
            break
        used = event.get("usage") or used
        finish = _at(event, "choices", 0, "finish_reason") or finish
        piece = _text_of(event)
        written += piece
        if passed := text.feed(piece.encode("utf-8", "replace")):
            yield passed
        if text.stopped:
            break
    if not (done or finish or text.stopped or heard):
        raise _NothingCame(f"{name} answered with nothing.")
    if not (done or finish or text.stopped):
        raise LanguageModelError(f"{name} closed the connection in the middle of its answer.")
    if passed := text.rest():
        yield passed
    reason: FinishReason = "length" if finish == "length" and not text.stopped else "stop"
    prompt_tokens, written_tokens = _at(used, "prompt_tokens"), _at(used, "completion_tokens")
    yield Usage(
        prompt_tokens=prompt_tokens if isinstance(prompt_tokens, int) else _prompt_size(asked, count),
        written_tokens=written_tokens if isinstance(written_tokens, int) else count(written),
        finish=reason,
    )


def _text_of(event: dict[str, Any]) -> str:
    """The text of a chat's delta, of a whole chat's message, or of a completion."""
    for path in (("delta", "content"), ("message", "content"), ("text",)):
        found = _at(event, "choices", 0, *path)
        if isinstance(found, str):
            return found
    return ""


def _prompt_size(asked: Generation, count: Count) -> int:
    infill = (asked.infill.before, asked.infill.after) if asked.infill else ()
    return sum(map(count, (*(message.content for message in asked.messages), asked.prompt or "", *infill)))


def _at(value: object, *path: str | int) -> object:
    """What lies there in a JSON value, or None."""
    for step in path:
        if isinstance(step, int) and isinstance(value, list):
            entries = cast(list[object], value)
            value = entries[step] if step < len(entries) else None
        elif isinstance(value, dict):
            value = cast(dict[str | int, object], value).get(step)
        else:
            return None
    return value
