"""One conversation of a ChatGPT export: a tree of messages, of which one branch is on display."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator

from remanence.memory.exchange import Exchange
from remanence.memory.timestamps import to_ms
from remanence.sources.json_values import mapping, optional, sequence, string
from remanence.sources.turns import Occurrences, Turn, exchange_of

Fields = dict[str, object]

_CITATION = re.compile("\ue200[^\ue201]{0,2000}\ue201")
_PRIVATE_USE = re.compile("[\ue000-\uf8ff]")
_BARE_CITATION = re.compile(r"\bciteturn\d+\w+")
_HIDDEN_CHANNELS = {"analysis", "commentary"}
_CUT_OFF = {"in_progress", "finished_partial_completion"}
_OTHER_MEDIA = {"audio_asset_pointer": "[audio]", "real_time_user_audio_video_asset_pointer": "[audio]"}


def exchanges(conversation: Fields, tool: str) -> Iterator[Exchange]:
    """The exchanges along the branch on display. Temporary chats are nobody's to keep."""
    if conversation.get("is_temporary_chat") is True:
        return
    title = optional(conversation.get("title"))
    conversation_id = optional(conversation.get("conversation_id")) or optional(conversation.get("id"))
    occurrences = Occurrences()
    for turn in _turns(conversation):
        yield exchange_of(
            turn,
            tool=tool,
            conversation_id=conversation_id or _unnamed(conversation, title),
            title=title,
            occurrences=occurrences,
            answer="\n\n".join(text for group in turn.groups for text in group),
        )


def _turns(conversation: Fields) -> Iterator[Turn]:
    turn: Turn | None = None
    for node, message in _branch(conversation):
        role = mapping(message.get("author")).get("role")
        if role not in ("user", "assistant") or not _is_visible(message):
            continue
        text, at = _text(mapping(message.get("content"))), to_ms(message.get("create_time"))
        if role == "user" and text:
            if turn is not None and turn.join(text, at):
                continue
            if turn is not None:
                yield turn
            turn = Turn(text, turn_key=node, asked_at=at or _started(conversation, turn))
        elif role == "assistant" and turn is not None:
            metadata = mapping(message.get("metadata"))
            model = optional(metadata.get("model_slug")) or optional(conversation.get("default_model_slug"))
            turn.say(text, at, model)
            turn.interrupted = string(message.get("status")) in _CUT_OFF
    if turn is not None:
        yield turn


def _started(conversation: Fields, before: Turn | None) -> int | None:
    return to_ms(conversation.get("create_time")) if before is None else None


def _branch(conversation: Fields) -> list[tuple[str, Fields]]:
    """The messages from the root to the current node, or to the newest leaf where there is none."""
    nodes = {name: mapping(node) for name, node in mapping(conversation.get("mapping")).items()}
    parents = {name: optional(node.get("parent")) for name, node in nodes.items()}
    for name, node in nodes.items():
        for child in sequence(node.get("children")):
            if isinstance(child, str) and parents.get(child, "") is None:
                parents[child] = name
    current = optional(conversation.get("current_node"))
    at = current if current in nodes else _newest_leaf(nodes, parents)
    path: list[tuple[str, Fields]] = []
    seen: set[str] = set()
    while at is not None and at in nodes and at not in seen:
        seen.add(at)
        path.append((at, mapping(nodes[at].get("message"))))
        at = parents[at]
    return path[::-1]


def _newest_leaf(nodes: dict[str, Fields], parents: dict[str, str | None]) -> str | None:
    inner = set(parents.values())
    leaves = [name for name in nodes if name not in inner] or list(nodes)
    dated = ((to_ms(mapping(nodes[name].get("message")).get("create_time")) or 0, name) for name in leaves)
    return max(dated, key=lambda pair: pair[0], default=(0, None))[1]


def _is_visible(message: Fields) -> bool:
    metadata = mapping(message.get("metadata"))
    return (
        message.get("recipient") in (None, "all")
        and string(message.get("channel")) not in _HIDDEN_CHANNELS
        and message.get("weight") != 0
        and metadata.get("is_visually_hidden_from_conversation") is not True
        and metadata.get("is_user_system_message") is not True
    )


def _text(content: Fields) -> str:
    """What a message shows. Thoughts, tool output, browsing and custom instructions show nothing."""
    kind = content.get("content_type")
    if kind in ("text", "multimodal_text"):
        parts = [_part(part) for part in sequence(content.get("parts"))]
        return clean("\n".join(part for part in parts if part.strip()))
    if kind == "code":
        language, code = string(content.get("language")), string(content.get("text"))
        return f"```{'' if language == 'unknown' else language}\n{code}\n```" if code.strip() else ""
    return ""


def _part(part: object) -> str:
    if isinstance(part, str):
        return part
    fields = mapping(part)
    kind = string(fields.get("content_type"))
    if kind == "audio_transcription":
        return string(fields.get("text"))
    return "[image]" if kind == "image_asset_pointer" else _OTHER_MEDIA.get(kind, "")


def clean(text: str) -> str:
    """Without citation marks, which are private-use characters around the name of a search result."""
    text = _PRIVATE_USE.sub("", _CITATION.sub("", text))
    return _BARE_CITATION.sub("", text).strip()


def _unnamed(conversation: Fields, title: str | None) -> str:
    """A name for a conversation exported without one: its title and when it began."""
    named = f"{title}\x1f{conversation.get('create_time')}"
    return hashlib.sha256(named.encode("utf-8", "surrogatepass")).hexdigest()[:32]
