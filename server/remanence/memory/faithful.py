"""Whether a summary may stand for what it shortens: no name, number or identifier lost, and none made up.

A rule that errs on the strict side. Every word with a capital counts as a name unless it is an ordinary one
at the beginning of a sentence; where the script has no capitals names cannot be told, and no summary is good.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from remanence.memory import terms

_NUMBER = re.compile(r"\d+(?:[.,:/-]\d+)*")
# what is written in code's way: in backticks, with a mark inside, with a capital inside
_IDENTIFIER = re.compile(
    r"`([^`\n]+)`|(?<![\w./-])((?:--?|[./~]*)\w+(?:(?:::|->|[_./\\@#-])\w+)+(?:\(\))?)|\b(\w*[a-z]\w*[A-Z]\w*)\b"
)
_WORD = re.compile(r"\w[\w'’-]*")
_SENTENCE = re.compile(r"(?:^|[.!?…:]\s+|\n\s*(?:[-*•>#]+\s*|\d+[.)]\s+)?|[\"“«(]\s*)$")
_CLOSING = ".,:;!?…"
_FIRST_PERSON = re.compile(r"I(?:['’]\w+)?")  # English writes itself as if it were a name


def keeps_particulars(summary: str, extract: str, source: str) -> bool:
    """Whether `summary` has every name, number and identifier of `extract`, which it replaces, and none that
    `source`, the text it was made from, does not have."""
    if _without_capitals(extract) or not summary.strip():
        return False
    said, known = _said(summary), _said(f"{source}\n{extract}")
    return all(_is_in(each, said) for each in particulars(extract)) and all(
        _is_in(each, known) for each in particulars(summary)
    )


def particulars(text: str) -> frozenset[str]:
    """The names, numbers and identifiers of a text as they are written there."""
    text = unicodedata.normalize("NFC", text)
    found = {number[0] for number in _NUMBER.finditer(text)}
    for match in _IDENTIFIER.finditer(text):
        found.add(next(part for part in match.groups() if part).strip(_CLOSING))
    return frozenset(each for each in (*found, *_names(text)) if each)


def _names(text: str) -> Iterator[str]:
    for word in _WORD.finditer(text):
        if not word[0][0].isupper() or _FIRST_PERSON.fullmatch(word[0]):
            continue
        ordinary = not terms.query_stems(f"{word[0]} remanence")[:-1]  # a function word alone gives nothing
        if not (ordinary and _SENTENCE.search(text[max(0, word.start() - 12) : word.start()])):
            yield word[0]


def _said(text: str) -> tuple[str, frozenset[str], frozenset[str]]:
    """The text on one line in lower case, its stems, and its numbers."""
    text = unicodedata.normalize("NFC", text)
    numbers = frozenset(number[0] for number in _NUMBER.finditer(text))
    return " ".join(text.casefold().split()), frozenset(terms.stems(text)), numbers


def _is_in(particular: str, said: tuple[str, frozenset[str], frozenset[str]]) -> bool:
    text, stems, numbers = said
    if _NUMBER.fullmatch(particular):
        return particular in numbers
    # "Deploying" and "deployed" are one word, "Deploy" within "redeploy" is none
    if particular.isalpha() and frozenset(terms.stems(particular)) <= stems:
        return True
    folded = re.escape(" ".join(particular.casefold().split()))
    return re.search(rf"(?<!\w){folded}(?!\w)", text) is not None


def _without_capitals(text: str) -> bool:
    """Whether it has letters of a script without capitals (category Lo: Chinese, Arabic, Hindi, …)."""
    return not text.isascii() and any(unicodedata.category(letter) == "Lo" for letter in text)
