"""Conversations that the server keeps (`/v1/responses`): which one each of its answers belongs to.

Known of the latest answers, while this process runs. What goes on with an older one begins a conversation.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import TypeVar

from remanence.proxy.answers import Answered
from remanence.proxy.prompts import Prompt, key_of

_MOST = 2048  # answers: some hundred bytes each
_MOST_OPEN = 64  # questions that wait for the tools that their answers called
_LONGEST_OPEN = 200_000  # characters

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a conversation stands after an answer, and the memories that were put into it until then."""

    conversation_id: str
    turn_key: str
    told: frozenset[str]


class Chains:
    """The latest answers of one endpoint, each with its place in a conversation."""

    def __init__(self) -> None:
        self._places: OrderedDict[str, _Place] = OrderedDict()
        self._open: OrderedDict[str, tuple[str, tuple[str, ...]]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._places)

    def placed(self, prompt: Prompt) -> Prompt | None:
        """The prompt at its place in the conversation that it goes on with; None where it asks nothing, and
        what the user had asked is not known."""
        follows = prompt.follows or prompt.kept_in
        place = self._places.get(follows)
        if place is None and prompt.kept_in:
            place = _Place(key_of(prompt.kept_in), "", frozenset())
        if place is None:
            return prompt if prompt.question else None
        prompt = replace(prompt, conversation_id=place.conversation_id, told=place.told)
        if prompt.question:
            return replace(prompt, turn_key=key_of(place.turn_key, prompt.turn_key))
        if follows not in self._open:
            return None
        question, said = self._open[follows]
        return replace(prompt, question=question, said=said, turn_key=place.turn_key)

    def note(self, prompt: Prompt, answered: Answered, told: frozenset[str]) -> None:
        """Remember where this answer stands; `told` are the memories that its prompt was given."""
        place = _Place(prompt.conversation_id, prompt.turn_key, prompt.told | told)
        said = (*prompt.said, answered.text) if answered.text.strip() else prompt.said
        for id in (answered.id, prompt.kept_in):
            if not id:
                continue
            _put(self._places, id, place, _MOST)
            self._open.pop(id, None)
            if answered.calls_tools and sum(map(len, (prompt.question, *said))) <= _LONGEST_OPEN:
                _put(self._open, id, (prompt.question, said), _MOST_OPEN)


def _put(places: OrderedDict[str, T], id: str, value: T, most: int) -> None:
    places[id] = value
    places.move_to_end(id)
    while len(places) > most:
        places.popitem(last=False)
