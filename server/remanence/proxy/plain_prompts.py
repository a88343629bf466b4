"""Prompts that are one text: OpenAI's completions and Ollama's generate. Editors complete code with them."""

from __future__ import annotations

import re

from remanence.proxy.json_members import Members, raw, string_of
from remanence.proxy.prompts import Prompt, Turn, prompt_of

# Code to be filled in, or a chat that the client laid out itself: a block before it would spoil both.
_LAID_OUT = re.compile(
    r"<\|?(?:fim_|im_start|begin_of_text|start_header_id|(?:user|system|end)\|)"
    r"|<(?:PRE|SUF|MID|start_of_turn|s)>|\[INST\]|<｜"
)


def read_plain(members: Members, system: str = "") -> Prompt | None:
    """The prompt of a request whose `prompt` is one text and whose model is to go on or to answer."""
    text = string_of(members.get("prompt"))
    if not text or string_of(members.get("suffix")) or _LAID_OUT.search(text):
        return None

    def rewritten(block: str) -> bytes:
        return bytes(raw({**members, "prompt": raw(block + text)}))

    turns = [Turn("system", system), Turn("user", text)]
    return prompt_of(turns, 1, string_of(members.get("model")) or "", rewritten)
