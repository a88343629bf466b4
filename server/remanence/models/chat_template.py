"""A chat as the prompt that a model was trained on, by the template in its own file.

A template is a program from a stranger: it runs in jinja's sandbox. The messages are data: where one quotes
a special token of the model, that is text like any other and begins or ends no turn.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import cast

import jinja2
from jinja2 import nodes
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

from remanence.models.language_model import ChatMessage, LanguageModelError
from remanence.models.text_stream import legal

Part = str | int  # text, or the number of a special token

_PRIVATE_USE = range(0xF0000, 0xFFFFE)  # stand in for letters of the messages; nobody's text has all of them


class ChatTemplate:
    """The template of a model. `special` are its special tokens by text; `bos` and `eos` are two of those."""

    def __init__(self, source: str, special: Mapping[str, int], bos: str = "", eos: str = "") -> None:
        """Without a source, turns are written as "User: …" and "Assistant: …".

        Raises LanguageModelError where the source is no jinja template.
        """
        self._special = dict(special)
        self._names = {"bos_token": bos, "eos_token": eos}
        longest_first = sorted(special, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, longest_first)) or r"(?!)")
        try:
            self._template = _environment().from_string(source) if source else None
        except (jinja2.TemplateError, RecursionError) as error:
            raise LanguageModelError(f"The model's chat template is damaged: {error}.") from error

    def parts(self, messages: Sequence[ChatMessage]) -> list[Part]:
        """The prompt of the chat, up to where the answer begins: text, and special tokens by number.

        Raises LanguageModelError where the template does not take the chat.
        """
        turns = [{"role": message.role, "content": legal(message.content)} for message in messages]
        masked, unmask = self._masked(turns)
        return self._split(self._rendered(masked), unmask)

    def _rendered(self, turns: list[dict[str, str]]) -> str:
        if self._template is None:
            said = "".join(f"{turn['role'].capitalize()}: {turn['content']}\n" for turn in turns)
            return f"{said}Assistant:"
        try:
            return self._template.render(messages=turns, add_generation_prompt=True, **self._names)
        except Exception as error:  # a template may fail as any program may
            merged = _merged(turns)
            if merged != turns:  # some refuse a system's turn, or two of one role one after the other
                return self._rendered(merged)
            raise LanguageModelError(f"The model's chat template refuses this chat: {error}.") from error

    def _masked(self, turns: list[dict[str, str]]) -> tuple[list[dict[str, str]], dict[int, str]]:
        """The turns with a stand-in for each letter that begins a special token, and how to undo that."""
        said = "".join(turn["content"] for turn in turns)
        free = (code for code in _PRIVATE_USE if chr(code) not in said)
        firsts = sorted({name[0] for name in self._special if name in said})
        stand_ins = {letter: next(free) for letter in firsts}
        mask = str.maketrans({letter: chr(code) for letter, code in stand_ins.items()})
        unmask = {code: letter for letter, code in stand_ins.items()}
        return [{**turn, "content": turn["content"].translate(mask)} for turn in turns], unmask

    def _split(self, prompt: str, unmask: dict[int, str]) -> list[Part]:
        parts: list[Part] = []
        done = 0
        for found in self._pattern.finditer(prompt):
            parts += [prompt[done : found.start()].translate(unmask), self._special[found.group()]]
            done = found.end()
        parts.append(prompt[done:].translate(unmask))
        return [part for part in parts if part != ""]


def _merged(turns: Sequence[dict[str, str]]) -> list[dict[str, str]]:
    """The same chat with the system's words in the user's turns, and no two turns of one role together."""
    merged: list[dict[str, str]] = []
    for turn in turns:
        role = "user" if turn["role"] == "system" else turn["role"]
        if merged and merged[-1]["role"] == role:
            merged[-1]["content"] += f"\n\n{turn['content']}"
        else:
            merged.append({"role": role, "content": turn["content"]})
    return merged


class _Generation(Extension):
    """`{% generation %}` marks in training what the assistant says, and means nothing here."""

    tags = {"generation"}  # noqa: RUF012, as jinja wants it

    def parse(self, parser: Parser) -> list[nodes.Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


def _environment() -> ImmutableSandboxedEnvironment:
    """As Hugging Face renders chat templates, from whom the files have them."""
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols, _Generation]
    )
    environment.filters["tojson"] = _tojson
    cast(dict[str, object], environment.globals).update(
        raise_exception=_raise_exception, strftime_now=_strftime_now
    )
    return environment


def _tojson(value: object, ensure_ascii: bool = False, indent: int | None = None) -> str:
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent)


def _raise_exception(message: str) -> None:
    raise jinja2.TemplateError(message)


def _strftime_now(form: str) -> str:
    return datetime.now().strftime(form)
