"""ChatGPT's data export: `conversations.json`, or shards of it, as files or in the ZIP as it came."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, cast

import ijson

from remanence.sources.chatgpt_conversations import exchanges
from remanence.sources.json_values import mapping
from remanence.sources.recognising import head_text
from remanence.sources.source import Failure, Item, Source, nowhere
from remanence.sources.text_files import BEING_WRITTEN, UNREADABLE, open_bytes, open_text, unreadable

_NAME = "chatgpt"
_MEMBER = re.compile(r"(?:^|/)conversations(?:-\d+)?\.json$")
_ZIP = b"PK\x03\x04"
_DAMAGED_ZIP = (zipfile.BadZipFile, NotImplementedError, RuntimeError)  # broken, unknown, encrypted


def read(path: Path) -> Iterator[Item]:
    """The exchanges of an export. Memory is bounded by its longest conversation."""
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                for member in members(archive):
                    with archive.open(member) as stream:
                        yield from _conversations(stream, f"{member}, ")
        else:
            with open_bytes(path) as stream:
                yield from _conversations(stream, "")
    except UNREADABLE as error:
        yield Failure("the file", unreadable(error), passing=True)
    except _DAMAGED_ZIP:
        yield Failure("the file", "The ZIP archive is damaged, encrypted or incomplete.")


def members(archive: zipfile.ZipFile) -> list[str]:
    """The conversation files of an archive, in the order of their shards."""
    names = (name for name in archive.namelist() if not name.startswith("__MACOSX"))
    return sorted(name for name in names if _MEMBER.search(name))


def recognises(path: Path, head: bytes) -> bool:
    if head.startswith(_ZIP):
        try:
            with zipfile.ZipFile(path) as archive:
                return bool(members(archive))
        except (OSError, *_DAMAGED_ZIP):
            return False
    text = head_text(head).lstrip()
    return text.startswith(("[", "{")) and '"mapping"' in text and '"message"' in text


class _Utf8:
    """A stream of valid UTF-8 for the JSON parser, whatever the file's bytes are."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._text = open_text(stream)
        self._first = self._text.read(4096).lstrip()
        self.is_array = self._first.startswith("[")

    def read(self, size: int = -1) -> bytes:
        if size == 0:  # how the parser asks whether it gets bytes
            return b""
        first, self._first = self._first, ""
        text = first + self._text.read(max(0, size - len(first)) if size >= 0 else size)
        return text.replace("\x00", "").encode("utf-8", "replace")


def _conversations(stream: IO[bytes], within: str) -> Iterator[Item]:
    text = _Utf8(stream)
    number = 0
    try:
        parsed = ijson.items(text, "item" if text.is_array else "", use_float=True)
        for value in cast(Iterator[object], parsed):
            number += 1
            where = f"{within}conversation {number}"
            if isinstance(value, dict) and "mapping" in value:
                yield from exchanges(mapping(cast(object, value)), _NAME)
            else:
                yield Failure(where, "It is not a ChatGPT conversation.")
    except ijson.IncompleteJSONError:
        yield Failure(f"{within}after conversation {number}", BEING_WRITTEN)
    except (ijson.JSONError, ValueError, RecursionError):
        yield Failure(f"{within}after conversation {number}", "It is not JSON from here on.")


CHATGPT = Source(_NAME, "ChatGPT export", nowhere, read, recognises)
