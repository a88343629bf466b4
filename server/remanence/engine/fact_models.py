"""Facts and decisions by a language model of the settings, in JSON that is checked; nothing loaded before."""

from __future__ import annotations

from collections.abc import Callable, Iterator
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

if TYPE_CHECKING:
    from remanence.models.residency import Residency

_ATTEMPTS = 3
_FACT_TOKENS, _DECISION_TOKENS = 900, 220
_TEMPLATE_TOKENS = 32  # what a chat template adds, generously
_LEAST_READ = 64  # tokens of an exchange that are worth reading
_ROUNDS = 4
_WINDOW = "facts"  # its turn comes as that of one more editor window


class FactModel:
    """A model that is asked for facts and decisions, by its name in the settings. Raises LanguageModelError
    where it cannot be asked at all."""

    def __init__(self, name: str, residency: Callable[[], Residency]) -> None:
        self.name = name
        self._residency = residency

    def facts(self, read: Unread, cancelled: Cancelled) -> list[Draft]:
        """What it finds in an exchange, as far as that stands there."""
        asked = Generation(
            messages=(
                ChatMessage("system", fact_extraction.SYSTEM),
                ChatMessage("user", self._that_fits(read)),
            ),
            max_tokens=_FACT_TOKENS,
            json_schema=fact_extraction.SCHEMA,
        )
        said = self._json(asked, cancelled)
        return fact_extraction.drafts(said, read.question, read.answer, read.time, self.name)

    def verdict(self, newer: Fact, older: Fact, cancelled: Cancelled) -> Verdict:
        """What it makes of the older of two facts. An answer that cannot be read leaves the decision
        pending."""
        asked = Generation(
            messages=(
                ChatMessage("system", decisions.SYSTEM),
                ChatMessage("user", decisions.question(newer, older)),
            ),
            max_tokens=_DECISION_TOKENS,
            json_schema=decisions.SCHEMA,
        )
        try:
            judged = decisions.parse(self._json(asked, cancelled))
        except (UnreadableAnswer, ValueError) as error:
            return decisions.unread_answer(newer, older, str(error), self.name)
        return decisions.verdict(newer, older, judged, self.name)

    def _that_fits(self, read: Unread) -> str:
        """The question about an exchange, of a long one as much as the model's window has room for."""
        residency, most = self._residency(), fact_extraction.MOST_READ
        window = residency.capabilities(self.name).context
        room = window - _FACT_TOKENS - _TEMPLATE_TOKENS
        if room < residency.count_tokens(self.name, fact_extraction.SYSTEM) + _LEAST_READ:
            raise LanguageModelError(
                f"{self.name} has a window of {window:,} tokens, too small to draw facts with: set a larger"
                " context, or use another model."
            )
        for _ in range(_ROUNDS):
            asked = fact_extraction.question(read.question, read.answer, most)
            tokens = residency.count_tokens(self.name, f"{fact_extraction.SYSTEM}\n{asked}")
            if tokens <= room:
                break
            most = (
                min(most, max(len(read.question), len(read.answer))) * max(room, 0) // (tokens + tokens // 4)
            )
        return fact_extraction.question(read.question, read.answer, most)

    def _json(self, asked: Generation, cancelled: Cancelled) -> object:
        from remanence.models.structured import generate_json

        model = _Named(self.name, self._residency())
        model.capabilities  # noqa: B018  loaded first, so that what comes then is about the answer
        try:
            return generate_json(model, asked, cancelled, _ATTEMPTS)
        except LanguageModelError as error:
            if cancelled() or not model.answered:
                raise
            raise UnreadableAnswer(str(error)) from error


class UnreadableAnswer(LanguageModelError):
    """The model answered, and none of its answers was the JSON that was asked for."""


class _Named:
    """One of the residency's models as a LanguageModel. `answered` tells whether it ever ended an answer."""

    def __init__(self, name: str, residency: Residency) -> None:
        self.answered = False
        self._name = name
        self._residency = residency

    @property
    def capabilities(self) -> Capabilities:
        return self._residency.capabilities(self._name)

    def generate(self, asked: Generation, cancelled: Cancelled) -> Iterator[str | Usage]:
        for part in self._residency.generate(self._name, asked, cancelled, window=_WINDOW):
            self.answered |= isinstance(part, Usage)
            yield part

    def count_tokens(self, text: str) -> int:
        return self._residency.count_tokens(self._name, text)

    def use_adapter(self, path: str | None) -> None:
        self._residency.use_adapter(self._name, path)

    def close(self) -> None:
        """It stays in memory: others use it too."""
