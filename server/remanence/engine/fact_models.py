"""Facts and decisions by a language model of the settings, in JSON that is checked; nothing loaded before."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from remanence.engine.verbs import Cancelled
from remanence.memory import decisions, fact_extraction
from remanence.memory.fact import Draft, Fact
from remanence.memory.fact_store import Unread, Verdict
from remanence.models.language_model import (
    Capabilities,
    ChatMessage,
    Generation,
    LanguageModelError,
    Usage,
)
from remanence.training import paraphrases
from remanence.training.samples import Sample

if TYPE_CHECKING:
    from remanence.models.residency import Residency

_ATTEMPTS = 3
_TEMPLATE_TOKENS = 32  # what a chat template adds, generously
_LEAST_READ = 64  # tokens of an exchange that are worth reading
_ROUNDS = 4
_WINDOW = "facts"  # its turn comes as that of one more editor window


class FactModel:
    """A model that is asked for facts, decisions and paraphrases, by its name in the settings. Raises
    LanguageModelError where it cannot be asked at all.

    `adapter` gives the folder of the adapter that was trained for this, where one is active: what it then
    says has the model's name and the adapter's as its origin.
    """

    def __init__(
        self,
        name: str,
        residency: Callable[[], Residency],
        adapter: Callable[[], str | None] = lambda: None,
    ) -> None:
        self.name = name
        self._residency = residency
        self._adapter = adapter

    def facts(self, read: Unread, cancelled: Cancelled) -> list[Draft]:
        """What it finds in an exchange, as far as that stands there."""
        adapter = self._adapter()
        asked = _asked(self._that_fits(read), fact_extraction.ANSWER_TOKENS, fact_extraction.SCHEMA)
        said = self._json(asked, adapter, cancelled)
        return fact_extraction.drafts(said, read.question, read.answer, read.time, self._origin(adapter))

    def verdict(self, newer: Fact, older: Fact, cancelled: Cancelled) -> Verdict:
        """What it makes of the older of two facts. An answer that cannot be read leaves the decision
        pending."""
        adapter = self._adapter()
        asked = _asked(decisions.prompt(newer, older), decisions.ANSWER_TOKENS, decisions.SCHEMA)
        try:
            judged = decisions.parse(self._json(asked, adapter, cancelled))
        except (UnreadableAnswer, ValueError) as error:
            return decisions.unread_answer(newer, older, str(error), self._origin(adapter))
        return decisions.verdict(newer, older, judged, self._origin(adapter))

    def paraphrases(self, fact: Fact, most: int, cancelled: Cancelled) -> list[Sample]:
        """Other ways to ask for a fact, as far as they can be checked. Raises UnreadableAnswer, too."""
        prompt = (paraphrases.SYSTEM, paraphrases.request(fact, most))
        asked = _asked(prompt, paraphrases.ANSWER_TOKENS * most, paraphrases.schema(most))
        return paraphrases.checked(self._json(asked, None, cancelled), fact)

    def _origin(self, adapter: str | None) -> str:
        return f"{self.name}+{Path(adapter).name}" if adapter is not None else self.name

    def _that_fits(self, read: Unread) -> tuple[str, str]:
        """What it is told and asked about an exchange, of a long one as much as the model's window has room
        for."""
        residency, most = self._residency(), fact_extraction.MOST_READ
        window = residency.capabilities(self.name).context
        room = window - fact_extraction.ANSWER_TOKENS - _TEMPLATE_TOKENS
        if room < residency.count_tokens(self.name, fact_extraction.SYSTEM) + _LEAST_READ:
            raise LanguageModelError(
                f"{self.name} has a window of {window:,} tokens, too small to draw facts with: set a larger"
                " context, or use another model."
            )
        for _ in range(_ROUNDS):
            asked = fact_extraction.prompt(read.question, read.answer, most)
            tokens = residency.count_tokens(self.name, "\n".join(asked))
            if tokens <= room:
                break
            most = (
                min(most, max(len(read.question), len(read.answer))) * max(room, 0) // (tokens + tokens // 4)
            )
        return fact_extraction.prompt(read.question, read.answer, most)

    def _json(self, asked: Generation, adapter: str | None, cancelled: Cancelled) -> object:
        from remanence.models.structured import generate_json

        model = _Named(self.name, self._residency(), adapter)
        model.capabilities  # noqa: B018  loaded first, so that what comes then is about the answer
        try:
            return generate_json(model, asked, cancelled, _ATTEMPTS, knows_schema=adapter is not None)
        except LanguageModelError as error:
            if cancelled() or not model.answered:
                raise
            raise UnreadableAnswer(str(error)) from error


def _asked(prompt: tuple[str, str], most_tokens: int, schema: Mapping[str, object]) -> Generation:
    system, user = prompt
    messages = (ChatMessage("system", system), ChatMessage("user", user))
    return Generation(messages=messages, max_tokens=most_tokens, json_schema=schema)


class UnreadableAnswer(LanguageModelError):
    """The model answered, and none of its answers was the JSON that was asked for."""


class _Named:
    """One of the residency's models as a LanguageModel, asked with an adapter or as it is. `answered` tells
    whether it ever ended an answer."""

    def __init__(self, name: str, residency: Residency, adapter: str | None) -> None:
        self.answered = False
        self._name = name
        self._residency = residency
        self._adapter = adapter

    @property
    def capabilities(self) -> Capabilities:
        return self._residency.capabilities(self._name)

    def generate(self, asked: Generation, cancelled: Cancelled) -> Iterator[str | Usage]:
        parts = self._residency.generate(self._name, asked, cancelled, window=_WINDOW, adapter=self._adapter)
        for part in parts:
            self.answered |= isinstance(part, Usage)
            yield part

    def count_tokens(self, text: str) -> int:
        return self._residency.count_tokens(self._name, text)

    def use_adapter(self, path: str | None) -> None:
        self._adapter = path

    def close(self) -> None:
        """It stays in memory: others use it too."""
