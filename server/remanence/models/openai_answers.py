"""What an OpenAI-compatible server may answer: JSON, a stream of events, a web page, an error, nonsense."""

from __future__ import annotations

import codecs
import re
from collections.abc import AsyncIterator
from typing import Any, Literal, cast

import msgspec

from remanence.models.language_model import LanguageModelError

Event = dict[str, Any] | None  # None: the stream says that it is done

_MOST_WORDS = 300  # characters of a server's own words that are passed on
_MOST_LINE = 4 << 20
_WEB_PAGE = "answers with a web page: its url should be that of the API, which mostly ends in /v1."
_NONSENSE = "answers with what is no OpenAI-compatible answer: check its url."
_CLOSED = "closed the connection in the middle of its answer."
_LINE_END = re.compile("\r\n|\n|\r")
_OVER_WINDOW = re.compile(r"context|too (long|many tokens)|maximum.{0,20}(length|tokens)", re.I)


class BadAnswer(LanguageModelError):
    """What came is no answer; its words go on after the server's name."""


class Refused(LanguageModelError):
    """The server answered with an error. `status` is HTTP's, `said` the whole of its words."""

    def __init__(self, status: int, body: object) -> None:
        self.status = status
        self.said = words_of(body)
        super().__init__(f"HTTP {status}: {self.said}")

    @property
    def is_over_window(self) -> bool:
        """Whether the prompt is what was too much."""
        return self.status in (400, 413, 422) and _OVER_WINDOW.search(self.said) is not None


def sort_of(content_type: str, first: bytes) -> Literal["events", "json"]:
    """What the body is; `first` is its beginning. Raises LanguageModelError for a web page."""
    beginning = first.lstrip()[:200]
    if "html" in content_type or beginning[:1] == b"<":
        raise BadAnswer(_WEB_PAGE)
    if "event-stream" in content_type or beginning.startswith((b"data:", b":", b"event:", b"id:", b"retry:")):
        return "events"
    return "json"


async def read_body(first: bytes, rest: AsyncIterator[bytes], *, whole: bool = False) -> Any:
    """A body as JSON, or as text where it is none. With `whole` it has to be a JSON object; raises
    LanguageModelError where it is not."""
    body = first
    async for chunk in rest:
        body += chunk
    try:
        found: Any = msgspec.json.decode(body)
    except msgspec.DecodeError as error:
        if whole:
            raise BadAnswer(_NONSENSE) from error
        return body.decode("utf-8", "replace")
    if not whole:
        return found
    if not isinstance(found, dict):
        raise BadAnswer(_NONSENSE)
    answer = cast(dict[str, Any], found)
    if answer.get("error"):
        raise Refused(200, answer)
    return answer


async def read_events(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[Event]:
    """The JSON objects of server-sent events, then None where the stream says so; the rest is not read."""
    data = ""
    async for line in _lines(first, rest):
        if not line:
            if data:
                raise BadAnswer(_NONSENSE)
            continue
        field, _, value = line.partition(":")
        if field == "error":  # so llama.cpp's server, before it wrote errors as data
            raise Refused(200, {"error": _decoded(value) or value})
        if field != "data":
            if field not in ("", "event", "id", "retry"):
                raise BadAnswer(_NONSENSE)
            continue
        data += value.removeprefix(" ") if not data else f"\n{value.removeprefix(' ')}"
        if data.strip() == "[DONE]":
            yield None
            return
        found = _decoded(data)
        if found is None:  # an event may have several lines; one that ends like this is nonsense
            continue
        data = ""
        if found.get("error"):
            raise Refused(200, found)
        yield found
    if data:
        raise BadAnswer(_CLOSED)


def _decoded(data: str) -> dict[str, Any] | None:
    try:
        found = msgspec.json.decode(data)
    except msgspec.DecodeError:
        return None
    return cast(dict[str, Any], found) if isinstance(found, dict) else None


async def _lines(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[str]:
    decoder = codecs.getincrementaldecoder("utf-8-sig")("replace")
    held = ""
    async for chunk in _joined(first, rest):
        held += decoder.decode(chunk)
        if len(held) > _MOST_LINE:
            raise BadAnswer(_NONSENSE)
        kept = "\r" if held.endswith("\r") else ""  # it may be the first half of a line's end
        *lines, held = _LINE_END.split(held.removesuffix(kept))
        held += kept
        for line in lines:
            yield line
    if held.strip():
        yield held.rstrip("\r")


async def _joined(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for chunk in rest:
        yield chunk


def words_of(body: object) -> str:
    """What a server's error says, in one line; nothing where it is a web page."""
    for name in ("error", "detail", "message", "msg"):
        while isinstance(body, dict) and name in body:
            body = cast(dict[str, object], body)[name]
    if isinstance(body, dict | list):
        body = msgspec.json.encode(body).decode()
    text = " ".join(str(body or "").split())
    return "" if text.startswith("<") else "".join(letter for letter in text if letter.isprintable())


def in_words(error: Exception, name: str, key: str, silent_seconds: float) -> Exception:
    """The error to raise for what happened while `name` was asked."""
    import httpx

    if isinstance(error, Refused):
        return _refusal(error, name, key)
    match error:
        case httpx.ConnectError() if "certificate" in str(error).lower():
            why = f"{name} cannot prove who it is: its certificate is not valid here."
        case httpx.ConnectTimeout() | httpx.ConnectError():
            why = f"{name} cannot be reached: is the server running, and its url right?"
        case httpx.ReadTimeout():
            why = f"{name} has said nothing for {silent_seconds:g} s: it may be stuck, or loading its model."
        case httpx.TimeoutException():
            why = f"{name} does not take the request: it may be stuck."
        case httpx.HTTPError() | httpx.StreamError():
            why = f"{name} {_CLOSED}"
        case BadAnswer():
            why = f"{name} {error}"
        case LanguageModelError():
            why = str(error)
        case _:
            why = f"{name} could not be asked ({type(error).__name__})."
    return LanguageModelError(_without(key, why))


def _refusal(error: Refused, name: str, key: str) -> Refused:
    said = _without(key, error.said)
    said = f": {said[:_MOST_WORDS]}" if said else "."
    match error.status:
        case 401 | 403:
            why = f"{name} wants a key (`key_env`)" if not key else f"{name} does not accept the key"
        case 404 | 405:
            why = f"{name} knows no such model or address"
        case 429:
            why = f"{name} takes no more requests for now, or your quota is used up"
        case _ if error.is_over_window:
            why = f"The prompt does not fit the window of the model on {name}"
        case status if 400 <= status < 500:
            why = f"{name} refuses the request ({status})"
        case 200:
            why = f"{name} reports an error"
        case status:
            why = f"{name} failed ({status})"
    raised = Refused(error.status, None)
    raised.said = error.said
    raised.args = (f"{why}{said}",)
    return raised


def _without(key: str, text: str) -> str:
    return text.replace(key, "[key]") if key else text
