"""From what was said, in order, to exchanges: one turn from a question to the next."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field

from remanence.memory.exchange import Exchange, Status
from remanence.sources.cleaning import without_images

SHORTEST_ANSWER = 40  # characters: less after the last tool call ("Done.") is no answer by itself
_JOINED_WITHIN_MS = 5 * 60_000
_FILES = 8


@dataclass(slots=True)
class Turn:
    """One question and what followed it, while it is being read."""

    question: str
    turn_key: str | None = None
    asked_at: int | None = None
    answered_at: int | None = None
    model: str | None = None
    workspace: str | None = None
    tags: tuple[str, ...] = ()
    files: dict[str, None] = field(default_factory=dict[str, None])
    groups: list[list[str]] = field(default_factory=lambda: [[]])  # texts, parted by tool calls
    interrupted: bool = False

    def say(self, text: str, at: int | None = None, model: str | None = None) -> None:
        """Add a text of the assistant's."""
        if text.strip():
            self.groups[-1].append(text.strip())
            self.answered_at = at or self.answered_at
        self.model = model or self.model

    def use_tool(self, file: str | None = None) -> None:
        """Note that the assistant called a tool, perhaps on a file."""
        if self.groups[-1] or len(self.groups) == 1:
            self.groups.append([])
        if file and len(self.files) < _FILES:
            self.files[file] = None

    @property
    def is_silent(self) -> bool:
        """Whether nothing has followed the question so far."""
        return not self.interrupted and len(self.groups) == 1 and not self.groups[0]

    def join(self, text: str, at: int | None) -> bool:
        """Take a second message of the user's into a question nothing has followed yet."""
        apart = at - self.asked_at if at is not None and self.asked_at is not None else 0
        if not self.is_silent or abs(apart) >= _JOINED_WITHIN_MS:
            return False
        self.question = f"{self.question}\n\n{text}"
        return True


def final_answer(groups: list[list[str]]) -> str:
    """What was said after the last tool call, or everything where that is next to nothing."""
    said = [text for group in groups for text in group]
    last = "\n\n".join(groups[-1])
    return last if len(last) >= SHORTEST_ANSWER else "\n\n".join(said)


def status_of(turn: Turn, answer: str) -> Status:
    """Cut off, or ended on a tool call: partial."""
    if not answer.strip():
        return Status.UNANSWERED
    return Status.PARTIAL if turn.interrupted or not turn.groups[-1] else Status.COMPLETE


def exchange_of(
    turn: Turn,
    *,
    tool: str,
    conversation_id: str,
    title: str | None,
    occurrences: Occurrences,
    answer: str | None = None,
) -> Exchange:
    """The exchange a finished turn is. `answer` where the tool itself says which text it was."""
    answer = final_answer(turn.groups) if answer is None else answer
    occurrence = 0 if turn.turn_key else occurrences.next(conversation_id, turn.question)
    return Exchange(
        question=without_images(turn.question),
        answer=without_images(answer),
        tool=tool,
        conversation_id=conversation_id,
        conversation_title=title,
        turn_key=turn.turn_key,
        occurrence=occurrence,
        asked_at=turn.asked_at,
        answered_at=turn.answered_at,
        model=turn.model,
        workspace=turn.workspace,
        tags=(*turn.tags, *(f"file:{file}" for file in turn.files)),
        status=status_of(turn, answer),
    )


class Occurrences:
    """Counts equal questions within a conversation, so that each has a name that stays its own."""

    def __init__(self) -> None:
        self._seen: dict[int, int] = {}

    def next(self, conversation_id: str, question: str) -> int:
        """How often this question was asked before in this conversation (0 the first time)."""
        # Coarser than the store's normalisation: two questions it holds for one are one here too.
        words = " ".join(unicodedata.normalize("NFC", question).split())
        key = hash((conversation_id, words))
        count = self._seen.get(key, 0)
        self._seen[key] = count + 1
        return count
