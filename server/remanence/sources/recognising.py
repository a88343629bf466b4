"""What the first bytes of a file tell about its format."""

from __future__ import annotations

from remanence.sources.json_values import mapping
from remanence.sources.text_files import parse_json

_LINES = 20


def head_text(head: bytes) -> str:
    """The first bytes as text, whatever they are; without a byte order mark and NULs."""
    encoding = "utf-16" if head[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    return head.decode(encoding, errors="replace").replace("\x00", "")


def head_records(head: bytes) -> list[dict[str, object]]:
    """The JSON objects on the first lines; lines that are something else are left out."""
    found: list[dict[str, object]] = []
    for line in head_text(head).split("\n")[:_LINES]:
        try:
            fields = mapping(parse_json(line))
        except ValueError:
            continue
        if fields:
            found.append(fields)
    return found
