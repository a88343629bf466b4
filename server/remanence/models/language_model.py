"""What every language model can be asked, whichever library or server runs it.

A backend is a small module with one class of this shape. It runs in a worker process of its own
(`model_worker`), except for the one that only talks to a server.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

from msgspec import Struct

Role = Literal["system", "user", "assistant"]
FinishReason = Literal["stop", "length", "cancelled"]
Cancelled = Callable[[], bool]


class LanguageModelError(Exception):
    """A model cannot be loaded, asked, or is gone; the message says in words what to do."""


class LoadRequest(Struct, frozen=True, kw_only=True):
    """What a backend's `load` takes: a GGUF file or a Hugging Face folder, and how to serve it.

    0 is the library's or the model's own choice; `bits` is 4 or 8 to quantise a folder while it loads.
    """

    path: str
    context: int = 0
    threads: int = 0
    gpu_layers: int = 0
    bits: int = 0
    adapter: str | None = None


class ChatMessage(Struct, frozen=True):
    """One turn of a chat; `content` is any Unicode text."""

    role: Role
    content: str


class Infill(Struct, frozen=True):
    """The text before and after the place where code is to be written."""

    before: str
    after: str


class Generation(Struct, frozen=True, kw_only=True):
    """What to write. Exactly one of `messages`, `prompt` and `infill` is given: a chat rendered with the
    model's own template, a text to go on with as it stands, or a gap in code to fill with the model's own
    markers.

    `temperature` 0 is greedy: the same text each time. `seed` makes the rest repeatable. `stop` ends the
    text before the first of these strings. `json_schema` (JSON Schema) constrains the text to one JSON
    value that is valid under it; it ends with the value.
    """

    messages: tuple[ChatMessage, ...] = ()
    prompt: str | None = None
    infill: Infill | None = None
    max_tokens: int = 512
    stop: tuple[str, ...] = ()
    temperature: float = 0.0
    seed: int = 0
    json_schema: Mapping[str, object] | None = None


class Usage(Struct, frozen=True, kw_only=True):
    """What a generation took, once it ended."""

    prompt_tokens: int = 0
    written_tokens: int = 0
    finish: FinishReason = "stop"


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What a loaded model can do beyond chat. `context` is its window in tokens."""

    context: int
    infill: bool = False
    adapters: bool = False
    constrained: bool = False


class LanguageModel(Protocol):
    """A loaded model. One generation at a time; `cancelled` is asked before each token."""

    @property
    def capabilities(self) -> Capabilities:
        """What it can do."""
        ...

    def generate(self, asked: Generation, cancelled: Cancelled) -> Iterator[str | Usage]:
        """Pieces of text as they are written, each valid Unicode, then one Usage.

        Raises LanguageModelError where the prompt does not fit the window, or `asked` needs what this
        model cannot do.
        """
        ...

    def count_tokens(self, text: str) -> int:
        """How many of this model's tokens the text takes, no special ones added."""
        ...

    def use_adapter(self, path: str | None) -> None:
        """Apply a LoRA adapter to the base model, in place of another, or none. Raises LanguageModelError
        where the model cannot take it; what was applied before then still is."""
        ...

    def close(self) -> None:
        """Let go of its memory, as far as the library can."""
        ...
