"""Which lines of a Claude Code session lie on its active branch: rewound ones do not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from remanence.sources.json_values import mapping, optional, string
from remanence.sources.source import Failure
from remanence.sources.text_files import records


@dataclass(frozen=True, slots=True)
class Branch:
    """The uuids and message ids on the branch, and the session's title."""

    uuids: frozenset[str]
    messages: frozenset[str]
    title: str | None

    def holds(self, uuid: str, line: dict[str, object]) -> bool:
        """Whether a line is on the branch. Blocks of one reply are, all of them or none."""
        return (
            not uuid or uuid in self.uuids or string(mapping(line.get("message")).get("id")) in self.messages
        )


@dataclass(slots=True)
class _Tree:
    """The session's lines without their texts: who follows whom, in file order."""

    order: dict[str, int] = field(default_factory=dict[str, int])
    dialogue: list[str] = field(default_factory=list[str])
    parents: dict[str, str | None] = field(default_factory=dict[str, str | None])
    sessions: dict[str, str] = field(default_factory=dict[str, str])
    messages: dict[str, str] = field(default_factory=dict[str, str])
    titles: dict[str, str] = field(default_factory=dict[str, str])


def branch_of(path: Path) -> Branch:
    """Walk from the last line of the dialogue to the first, across compactions."""
    tree = _Tree()
    for record in records(path):
        if not isinstance(record, Failure):
            _note(tree, record.fields)
    uuids = frozenset(_walk(tree))
    return Branch(
        uuids=uuids,
        messages=frozenset(tree.messages[uuid] for uuid in uuids if uuid in tree.messages),
        title=tree.titles.get("custom") or tree.titles.get("ai") or tree.titles.get("summary"),
    )


def _note(tree: _Tree, line: dict[str, object]) -> None:
    kind, uuid = line.get("type"), string(line.get("uuid"))
    if kind == "custom-title":
        tree.titles["custom"] = string(line.get("customTitle"))
    elif kind == "ai-title":
        tree.titles["ai"] = string(line.get("aiTitle"))
    elif kind == "summary" and string(line.get("leafUuid")) in tree.order:
        tree.titles["summary"] = string(line.get("summary"))  # the others title other sessions
    if not uuid or uuid in tree.order or line.get("isSidechain") is True:
        return
    tree.order[uuid] = len(tree.order)
    tree.parents[uuid] = optional(line.get("parentUuid")) or optional(line.get("logicalParentUuid"))
    tree.sessions[uuid] = string(line.get("sessionId"))
    if kind in ("user", "assistant"):
        tree.dialogue.append(uuid)
    if kind == "assistant" and (message := optional(mapping(line.get("message")).get("id"))):
        tree.messages[uuid] = message


def _walk(tree: _Tree) -> Iterator[str]:
    """The active branch, backwards. Where a link leads nowhere, file order is the chain."""
    linked = any(parent in tree.order for parent in tree.parents.values())
    seen: set[str] = set()
    at = len(tree.dialogue) - 1
    uuid = tree.dialogue[at] if tree.dialogue else None
    while uuid is not None and uuid not in seen:
        seen.add(uuid)
        yield uuid
        parent = tree.parents[uuid]
        if parent in tree.order:
            uuid = parent
            continue
        # The latest line of the dialogue that was written before this one.
        while at >= 0 and (tree.dialogue[at] in seen or tree.order[tree.dialogue[at]] >= tree.order[uuid]):
            at -= 1
        before = tree.dialogue[at] if at >= 0 else None
        if before is not None and linked and parent is None and tree.sessions[before] == tree.sessions[uuid]:
            return  # a second root in one session: its first prompt was edited
        uuid = before
