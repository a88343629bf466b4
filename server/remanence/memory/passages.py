"""Texts as passages: sentences and fenced code, and the piece of an answer that a query is about."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from remanence.memory import terms

EXCERPT_LENGTH = 240
_FENCE = re.compile(r"[^\S\n]{0,3}(`{3,}|~{3,})[^\S\n]*([^\s`]*)[^\n]*")
# A full stop ends a sentence before a space, a CJK one anywhere.
_END = re.compile(r"(?<=[.!?…])[\"'”»)\]]*[^\S\n]+|(?<=[。！？])|\n+")
_ABBREVIATION = re.compile(
    r"(?:\b(?:e\.g|i\.e|cf|vs|etc|approx|p\. ?ex|par ex|Dr|Mr|Mrs|Ms|M|Fig|No|St)|^\W*\d+)\.$"
)
_ALPHANUMERIC = re.compile(r"[^\W_]")
_LEAST = 40  # a shorter best sentence ("Sure!") takes the next ones with it
_MOST_SENTENCES = 200
_MOST_READ = 50_000  # characters of an answer


@dataclass(frozen=True, slots=True)
class CodeBlock:
    """A fenced block: its info word in lower case ("" where there is none) and its code."""

    language: str
    code: str


def split_code(text: str) -> list[str | CodeBlock]:
    """Prose and fenced code blocks in order; a fence left open runs to the end, as in CommonMark."""
    parts: list[str | CodeBlock] = []
    prose: list[str] = []
    code: list[str] = []
    fence, language = "", ""
    for line in text.split("\n"):
        mark = _FENCE.fullmatch(line) if "```" in line or "~~~" in line else None
        if not fence:
            if mark is None:
                prose.append(line)
            else:
                fence, language = mark[1], mark[2].lower()
                parts.append("\n".join(prose))
                prose = []
        elif mark is not None and mark[1].startswith(fence) and not mark[2]:
            parts.append(CodeBlock(language, "\n".join(code)))
            fence, code = "", []
        else:
            code.append(line)
    parts.append(CodeBlock(language, "\n".join(code)) if fence else "\n".join(prose))
    return [part for part in parts if (part.code if isinstance(part, CodeBlock) else part).strip()]


def code_blocks(text: str) -> list[CodeBlock]:
    """The fenced blocks of an answer, in order, empty ones left out."""
    return [part for part in split_code(text) if isinstance(part, CodeBlock)]


def sentences(prose: str) -> list[str]:
    """The sentences of a text without code, in any language that ends them with . ! ? … 。 or a line."""
    found: list[str] = []
    start = 0
    for end in _END.finditer(prose):
        piece = prose[start : end.end()].strip()
        if "\n" not in end[0] and _ABBREVIATION.search(prose[max(start, end.start() - 12) : end.start()]):
            continue
        if piece:
            found.append(piece)
        start = end.end()
    tail = prose[start:].strip()
    return [*found, tail] if tail else found


def excerpt(answer: str, query_terms: Sequence[str], limit: int = EXCERPT_LENGTH) -> str:
    """The passage of the answer that says most of `query_terms` (stems, most telling first).

    It starts at a sentence, or at a line of code where only the code speaks of them, and goes on for
    whole sentences up to `limit` characters; "…" marks a cut. One line, for showing in a list.
    """
    pieces: list[str] = []
    for part in split_code(answer[:_MOST_READ]):
        pieces += (
            sentences(part) if isinstance(part, str) else [line.strip() for line in part.code.splitlines()]
        )
    pieces = [piece for piece in pieces[:_MOST_SENTENCES] if _ALPHANUMERIC.search(piece)]
    if not pieces:
        return _cut(" ".join(answer[:_MOST_READ].split()), limit)
    weights = {term: 2 - i / len(query_terms) for i, term in enumerate(query_terms)}
    lines = terms.folded("\n".join(pieces)).split("\n")
    said = sorted(terms.mentions("\n".join(lines), weights), key=lambda found: -weights[found[1]])
    says = [sum(weights[term] for term in {term for word, term in said if word in line}) for line in lines]
    best = max(range(len(pieces)), key=lambda i: (says[i], -i))
    around = [word for word, _ in said if word in lines[best]]
    if len(pieces[best]) < _LEAST and best > 0 and says[best] and pieces[best - 1].endswith(":"):
        best -= 1
    chosen = " ".join(pieces[best].split())
    for piece in (" ".join(piece.split()) for piece in pieces[best + 1 :]):
        if len(chosen) + 1 + len(piece) > limit:
            break
        chosen = f"{chosen} {piece}"
    return _cut(chosen, limit, around)


def _folded(text: str) -> str:
    text = text.lower()
    if text.isascii():
        return text
    return "".join(c for c in unicodedata.normalize("NFD", text) if not unicodedata.combining(c))


def _cut(text: str, limit: int, around: Sequence[str] = ()) -> str:
    if len(text) <= limit:
        return text
    start = 0
    folded = _folded(text)
    first = next((at for word in around if (at := folded.find(word.lower())) >= 0), 0)
    if len(folded) == len(text) and first > limit * 2 // 3:
        start = text.rfind(" ", 0, first - limit // 4) + 1
    head = "…" if start else ""
    room = limit - len(head) - 1
    piece = text[start : start + room]
    if start + room >= len(text):
        return head + piece
    space = piece.rfind(" ")
    return head + (piece[:space] if space > room // 2 else piece).rstrip() + "…"
