"""What does not belong into a memory, taken out of a text: thinking, inlined images, injected blocks."""

from __future__ import annotations

import re

# How models write thinking into their text, from local-model templates and tools' exports.
_CLOSING = {
    "<think>": "</think>",
    "<thinking>": "</thinking>",
    "<reasoning>": "</reasoning>",
    "[THINK]": "[/THINK]",
    "<details": "</details>",
    "<|channel|>analysis<|message|>": "<|end|>",
}
_MARK = re.compile(
    r"^[ \t]*(?P<fence>```+|~~~+)"
    r"|^[ \t]*(?P<open><think>|<thinking>|<reasoning>|\[THINK\]|<\|channel\|>analysis<\|message\|>"
    r'|(?P<details><details)(?=[ \t]type="reasoning"))'
    r"|^[ \t]*(?P<close></think>)",
    re.MULTILINE,
)
_FINAL_CHANNEL = re.compile(r"(?:<\|start\|>assistant)?<\|channel\|>final<\|message\|>|<\|return\|>")
_IMAGE = re.compile(r"data:[\w.+-]{1,80}/[\w.+-]{1,80};base64,[A-Za-z0-9+/=_-]{200,}")
_TAG = re.compile(r"<(system-reminder|ide_[a-z_]{1,40})>")


def drop_thinking(text: str) -> str:
    """Remove inline thinking that stands at the start of a line, outside code fences.

    A reply that was cut while thinking comes out empty. Linear in the length of the text.
    """
    if "<" not in text and "[THINK]" not in text:
        return text
    kept: list[str] = []
    start = position = 0
    fence = ""
    while match := _MARK.search(text, position):
        position = match.end()
        if run := match["fence"]:
            fence = "" if fence and run.startswith(fence) else fence or run
        elif fence:
            continue
        elif match["close"]:
            # Templates that open the block themselves leave only its end in the reply.
            if not kept:
                start = position
        else:
            closing = _CLOSING["<details" if match["details"] else match["open"]]
            end = text.find(closing, position)
            if end < 0:
                if text[start : match.start()].strip() or any(part.strip() for part in kept):
                    break
                return ""
            kept.append(text[start : match.start()])
            start = position = end + len(closing)
    kept.append(text[start:])
    return _FINAL_CHANNEL.sub("", "".join(kept)).strip()


def without_images(text: str) -> str:
    """Base64 images, which say nothing to a reader of text, become `[image]`."""
    return _IMAGE.sub("[image]", text) if ";base64," in text else text


def drop_injected(text: str) -> str:
    """Remove `<system-reminder>` and `<ide_…>` blocks, which tools put into the user's words."""
    kept: list[str] = []
    start = 0
    unclosed: set[str] = set()
    while match := _TAG.search(text, start):
        tag = match[1]
        end = -1 if tag in unclosed else text.find(f"</{tag}>", match.end())
        if end < 0:
            unclosed.add(tag)
            kept.append(text[start : match.end()])
            start = match.end()
        else:
            kept.append(text[start : match.start()])
            start = end + len(tag) + 3
    return "".join((*kept, text[start:])).strip()
