"""Text to the tokens of a Hugging Face model and back: chats, gaps in code, pieces as they are written."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from remanence.models.chat_template import ChatTemplate
from remanence.models.language_model import ChatMessage, Generation, Infill, LanguageModelError
from remanence.models.marker_names import GAP_ENDS, GAPS, TURN_ENDS
from remanence.models.text_stream import legal

_WINDOW = 6  # tokens decoded before the new ones: a first space depends on what stands before it
_STAND_IN = "remanence"
_PATIENCE = 16  # tokens that may be held back while they are no whole characters


class Tokens:
    """A model's tokenizer, asked for what we need. What no tokenizer takes becomes U+FFFD."""

    def __init__(self, tokenizer: Any, ends: Sequence[int]) -> None:
        """`ends` are the tokens that end a text by the model's own settings. Raises LanguageModelError where
        the chat template is damaged."""
        self.tokenizer = tokenizer
        vocabulary: dict[str, int] = tokenizer.get_vocab()
        special = {name: vocabulary[name] for name in tokenizer.all_special_tokens if name in vocabulary}
        added: dict[int, Any] = tokenizer.added_tokens_decoder
        special |= {entry.content: token for token, entry in added.items() if entry.special}
        self._names = {token: name for name, token in special.items()}
        turns = {special[name] for name in TURN_ENDS if name in special}
        own = {tokenizer.eos_token_id} if tokenizer.eos_token_id is not None else set[int]()
        self.ends: frozenset[int] = frozenset({*ends, *own, *turns})
        self._gap_ends = self.ends | {vocabulary[name] for name in GAP_ENDS if name in vocabulary}
        found = [names for names in GAPS if all(name in vocabulary for name in names)]
        self._gap = tuple(vocabulary[name] for name in found[0]) if found else None
        opening: list[int] = tokenizer("", add_special_tokens=True)["input_ids"]
        self._opening = opening[:1] if opening[:1] == [tokenizer.bos_token_id] else []
        source: str = tokenizer.get_chat_template() if tokenizer.chat_template else ""
        self._start_of_chat = [] if source else self._opening  # a template writes it itself
        self._template = ChatTemplate(source, special, tokenizer.bos_token or "", tokenizer.eos_token or "")

    @property
    def fills_gaps(self) -> bool:
        """Whether the model has markers for a gap in code."""
        return self._gap is not None

    def plain(self, text: str) -> list[int]:
        """The tokens of a text, none of them special, whatever it says."""
        encoded = self.tokenizer(legal(text), add_special_tokens=False, split_special_tokens=True)
        return list(encoded["input_ids"])

    def of(self, asked: Generation) -> tuple[list[int], frozenset[int]]:
        """The prompt's tokens, and those that end what is written after it."""
        if (len(asked.messages) > 0) + (asked.prompt is not None) + (asked.infill is not None) != 1:
            raise LanguageModelError("Exactly one of messages, prompt and infill is to be given.")
        if asked.infill is not None:
            return self._infill(asked.infill), self._gap_ends
        if asked.prompt is not None:
            return self._opening + self.plain(asked.prompt), self.ends
        return self._chat(asked.messages), self.ends

    def of_turns(self, messages: Sequence[ChatMessage]) -> tuple[list[int], int]:
        """The tokens of a chat that ends with the assistant's turn, and how many stand before what it says:
        the prompt, token for token as when it is asked."""
        *before, last = messages
        prompt = self._chat(before)
        turns = [{"role": each.role, "content": legal(each.content)} for each in messages]
        whole = self._start_of_chat + self._encoded(self._rendered(turns))
        quoted = any(name in turn["content"] for name in self._names.values() for turn in turns)
        if not quoted and whole[: len(prompt)] == prompt:
            return whole, len(prompt)
        line = self.plain("\n")  # some tokenizers write a space before what stands alone
        said = self.plain(f"\n{last.content}")[len(line) :]
        return [*prompt, *said, *self._end_of_turn()], len(prompt)

    def _rendered(self, turns: Sequence[dict[str, str]]) -> str:
        return str(self.tokenizer.apply_chat_template(list(turns), tokenize=False))

    def _encoded(self, text: str) -> list[int]:
        return list(self.tokenizer(text, add_special_tokens=False)["input_ids"])

    def _end_of_turn(self) -> list[int]:
        """What the template writes after the assistant's words, up to the token that ends them."""
        turns = [{"role": "user", "content": "?"}, {"role": "assistant", "content": _STAND_IN}]
        after = self._encoded(self._rendered(turns).rpartition(_STAND_IN)[2])
        ends = [place for place, token in enumerate(after) if token in self.ends]
        return after[: ends[0] + 1] if ends else [*after, *sorted(self.ends)[:1]]

    def pieces(self, prompt: Sequence[int]) -> Pieces:
        """What turns the tokens that are written after this prompt into text."""
        # After a special token some tokenizers write a space that is theirs and not the text's: what is
        # decoded on its own loses it.
        return Pieces(self.tokenizer, [] if prompt[-1] in self._names else prompt[-_WINDOW:])

    def _infill(self, gap: Infill) -> list[int]:
        if self._gap is None:
            raise LanguageModelError(
                "This model was not made to fill gaps in code: choose a code model for that."
            )
        before, after, middle = self._gap
        return [*self._opening, before, *self.plain(gap.before), after, *self.plain(gap.after), middle]

    def _chat(self, messages: Sequence[ChatMessage]) -> list[int]:
        parts = self._template.parts(messages)
        whole = "".join(self._names[part] if isinstance(part, int) else part for part in parts)
        ids = list(self.tokenizer(whole, add_special_tokens=False)["input_ids"])
        if [token for token in ids if token in self._names] == [
            part for part in parts if isinstance(part, int)
        ]:
            return self._start_of_chat + ids
        # A message quotes a special token: between those of the template, everything is plain.
        ids = [token for part in parts for token in ([part] if isinstance(part, int) else self.plain(part))]
        return self._start_of_chat + ids


class Pieces:
    """Tokens as they are written, to text: each piece whole characters, all of them together the text."""

    def __init__(self, tokenizer: Any, prompt: Sequence[int]) -> None:
        self._tokenizer = tokenizer
        self._ids = list(prompt)
        self._start, self._said = 0, len(self._ids)

    def add(self, token: int) -> str:
        """What can be said now that this token is there; it may be nothing yet."""
        self._ids.append(token)
        return self._new(len(self._ids) - self._said >= _PATIENCE)

    def rest(self) -> str:
        """What was held back; half a character becomes U+FFFD."""
        return self._new(True)

    def _new(self, all_of_it: bool) -> str:
        before = self._decode(self._ids[self._start : self._said])
        after = self._decode(self._ids[self._start :])
        if len(after) <= len(before) or (after.endswith("\ufffd") and not all_of_it):
            return ""
        self._start, self._said = self._said, len(self._ids)
        return after[len(before) :]

    def _decode(self, ids: Sequence[int]) -> str:
        return str(self._tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False))
