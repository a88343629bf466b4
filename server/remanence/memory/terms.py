"""Text to index terms, the same for memories and queries: names split, accents folded, words stemmed.

`getUserName` is "getusername", "get", "user", "name", and so is `get_user_name`. `os.path.join` is its parts
and "os.path", "path.join"; 3.11.7 is also "3.11" and "3.11.7"; C++ and .NET are words. A run of Chinese,
Japanese or Korean is its pairs of characters. The analysis is done here, word by word and remembered, not
by Tantivy: it takes two thirds of the time and knows more of code.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Container, Iterator
from itertools import groupby, islice, pairwise

import tantivy

from remanence.memory.function_words import function_words
from remanence.memory.stemming import stem

STEMMED = "terms"
WHOLE = "words"
_LONGEST = 100  # characters; longer runs are base64 and hashes
_REMEMBERED = 20_000  # words: some 5 MB, and nearly all that a language uses
_MOST_READ = 20_000  # characters of a query
_MOST_OF_RUN = 1000
_MOST_QUERY_WORDS = 4000
_MOST_QUERY_TERMS = 1000


def _marks() -> str:
    """What belongs to the letter before it and is no letter to Python, as the inside of a character class:
    vowel signs of Indic scripts, and the like."""
    blocks = ((0x300, 0x1E00), (0x20D0, 0x2100), (0x3099, 0x309B), (0xA66F, 0xABEE))
    codes = [code for block in blocks for code in range(*block) if unicodedata.category(chr(code))[0] == "M"]
    # in ranges: from single characters the expression takes ten times as long to compile
    runs = [list(run) for _, run in groupby(enumerate(codes), lambda each: each[1] - each[0])]
    return "".join(f"{chr(run[0][1])}-{chr(run[-1][1])}" for run in runs)


_WORD = rf"\w[\w{_marks()}]*"
_RUN = re.compile(rf"{_WORD}(?:\.{_WORD})*(?:\+\+|#)?|(?<!\w)\.NET\b")
_ASCII_RUN = re.compile(r"\w+(?:\.\w+)*(?:\+\+|#)?|(?<!\w)\.NET\b")
_SYMBOL_NAME = re.compile(r"[A-Za-z]{1,2}(?:\+\+|#)")
_VERSION = re.compile(r"\d+(?:\.\d+)+")
_PLAIN = re.compile(r"\w+")
_HUMP = re.compile(r"[A-Z]{2,}(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+")
_CJK = re.compile(r"([\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff]+)")
_ACCENTS = re.compile("[\u0300-\u036f]+")
_LETTERS = str.maketrans(
    {"ß": "ss", "ẞ": "SS", "æ": "ae", "Æ": "AE", "œ": "oe", "Œ": "OE", "ø": "o", "Ø": "O"}
    | {"ł": "l", "Ł": "L", "đ": "d", "Đ": "D", "ð": "d", "þ": "th", "ı": "i"}
)
_UMLAUT_WORD = re.compile(r"(?<!\w)[^\WäöüÄÖÜ]*+[äöüÄÖÜ]\w*")
_UMLAUTS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "Ä": "Ae", "Ö": "Oe", "Ü": "Ue"})


def register(index: tantivy.Index) -> None:
    """Give the index both analyzers under their names; needed each time it is opened."""
    index.register_tokenizer(STEMMED, _SPLIT)
    index.register_tokenizer(WHOLE, _WORDS)


def well_formed(text: str) -> str:
    """The text in NFC and without lone surrogates, which are legal in a str and nowhere else."""
    if text.isascii():
        return text
    return unicodedata.normalize("NFC", text.encode("utf-8", "replace").decode())


def stems(text: str) -> list[str]:
    """The index terms of a text in order, function words included; none of them holds a space."""
    found = [term for run in _runs(text) for term in _TERMS[run]]
    if not text.isascii():
        found += [term for run in _runs(respelt(text)) for term in _TERMS[run]]
    return found


def respelt(text: str) -> str:
    """The words with umlauts as who has none writes them: "groesse"."""
    return " ".join(_UMLAUT_WORD.findall(well_formed(text))).translate(_UMLAUTS)


def query_stems(text: str) -> list[str]:
    """The distinct index terms of a query; its function words only where it has nothing else.

    Of a long one the first: at most 20,000 characters and 4,000 words are read, and 1,000 terms given.
    """
    pairs = list(islice(_query_words(text), _MOST_QUERY_WORDS))
    silent = function_words([word for word, _ in pairs])
    kept = dict.fromkeys(term for word, term in pairs if word not in silent)
    return list(kept or dict.fromkeys(term for _, term in pairs))[:_MOST_QUERY_TERMS]


def mentions(text: str, wanted: Container[str]) -> list[tuple[str, str]]:
    """The distinct words of a text, as written but for accents, with each of the wanted terms they hold."""
    return [(run, term) for run in dict.fromkeys(_runs(text)) for term in _TERMS[run] if term in wanted]


def words(text: str) -> list[str]:
    """The unstemmed words of a text in order, lower-case and without accents."""
    return _WORDS.analyze(well_formed(text))


def identifier_parts(identifier: str) -> list[str]:
    """`getUserName`, `user_name`, `path/to.py` → their words, lower-case; a plain word gives itself."""
    return [part for word in _PLAIN.findall(identifier) for part in _parts(word) or [word.lower()]]


def folded(text: str) -> str:
    """The text without accents and other marks on letters, in its own case; lengths may change."""
    if text.isascii():
        return text
    apart = unicodedata.normalize("NFKD", text.encode("utf-8", "replace").decode())
    return unicodedata.normalize("NFC", _ACCENTS.sub("", apart)).translate(_LETTERS)


def _query_words(text: str) -> Iterator[tuple[str, str]]:
    """The words of a query and their terms, in order; of 3.11.7 the wholes, not the 7."""
    for whole in dict.fromkeys(_runs(folded(text[:_MOST_READ])[:_MOST_READ])):
        run = whole[:_MOST_OF_RUN].rstrip(".")
        for word, term in zip(_words_of(run), _TERMS[run], strict=True):
            if not (word.isdigit() and "." in run):
                yield word, term


def _runs(text: str) -> list[str]:
    return _ASCII_RUN.findall(text) if text.isascii() else _RUN.findall(folded(text))


class _Terms(dict[str, tuple[str, ...]]):
    """The terms of a run; those of short runs are remembered."""

    def __missing__(self, run: str) -> tuple[str, ...]:
        terms = tuple(stem(word) for word in _words_of(run))
        if len(run) <= _LONGEST:
            if len(self) >= _REMEMBERED:
                self.clear()
            self[run] = terms
        return terms


_TERMS = _Terms()


def _words_of(run: str) -> list[str]:
    """What a run of letters stands for, lower-case, the whole before its parts."""
    if run[-1] in "+#":
        name = run.rstrip("+#")
        return [run.lower(), name.lower()] if _SYMBOL_NAME.fullmatch(run) else _words_of(name)
    if "." in run:
        return _dotted(run)
    if not run.isascii() and _CJK.search(run):
        return [word for piece in _CJK.split(run) if piece for word in _unspaced(piece)]
    if len(run) > _LONGEST:
        return []
    whole = run.lower().replace("_", "")
    parts = _parts(run)
    return [whole, *parts] if whole and parts != [whole] else parts


def _dotted(run: str) -> list[str]:
    if run.startswith("."):
        return [run.lower(), run[1:].lower()]
    pieces = run.split(".")
    if _VERSION.fullmatch(run):
        joined = [".".join(pieces[: end + 1]) for end in range(1, min(len(pieces), 4))]
    else:
        joined = [f"{one}.{other}".lower() for one, other in pairwise(pieces)]
    joined = [word for word in joined if len(word) <= _LONGEST]
    return [*joined, *(word for piece in pieces for word in _words_of(piece))]


def _unspaced(piece: str) -> list[str]:
    """The pairs of characters of a run without spaces; any other run as it is everywhere else."""
    if not _CJK.fullmatch(piece):
        return _words_of(piece)
    return [piece[i : i + 2] for i in range(len(piece) - 1)] or [piece]


def _parts(word: str) -> list[str]:
    """The words a compound identifier is made of, lower-case; none of a plain word."""
    tail = word[1:]
    if ("_" not in word and tail == tail.lower()) or len(word) > _LONGEST:
        return []
    parts: list[str] = []
    for piece in word.split("_"):
        plain = piece[1:] == piece[1:].lower() or not piece.isascii()
        parts += [piece] if plain else _HUMP.findall(piece)
    return [part.lower() for part in parts if len(part) > 1]


_SPLIT = tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.whitespace()).build()
_WORDS = (
    tantivy.TextAnalyzerBuilder(
        tantivy.Tokenizer.regex(r"[\p{L}\p{N}\p{M}_]+")
    )  # Rust's syntax, not Python's
    .filter(tantivy.Filter.remove_long(_LONGEST))
    .filter(tantivy.Filter.lowercase())
    .filter(tantivy.Filter.ascii_fold())
    .build()
)
