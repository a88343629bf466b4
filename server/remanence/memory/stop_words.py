"""Which language a text is in, and which of its words say nothing."""

from __future__ import annotations

import re
from functools import cache

import stopwordsiso

# Asked about in this order: on a draw the earlier one wins, English first since code speaks it.
_LANGUAGES = ("en", "fr", "es", "de", "it", "pt", "nl", "pl", "sv", "da", "no", "fi", "cs", "ro", "hu", "tr")
_SCRIPTS = (
    ("ja", re.compile(r"[\u3040-\u30ff]")),
    ("zh", re.compile(r"[\u3400-\u9fff]")),
    ("ko", re.compile(r"[\uac00-\ud7af]")),
    ("ru", re.compile(r"[\u0400-\u04ff]")),
    ("el", re.compile(r"[\u0370-\u03ff]")),
    ("ar", re.compile(r"[\u0600-\u06ff]")),
    ("he", re.compile(r"[\u0590-\u05ff]")),
    ("hi", re.compile(r"[\u0900-\u097f]")),
    ("th", re.compile(r"[\u0e00-\u0e7f]")),
)
_LEAST_SHARE = 0.1  # of a script's characters among the text's, to decide by script
_READ = 4000  # characters read: more do not change the answer

# In stopwordsiso's English list, and yet what programmers talk about.
_TELLING = frozenset(
    """
    case click computer copy group home index information line member microsoft name net netscape null number
    order page section side site state states system test text value web
    """.split()  # noqa: SIM905
)
# Not in it, and yet on every other line of code that stands in no fence.
_SYNTAX = frozenset(
    ("def", "return", "elif", "const", "let", "var", "self", "none", "true", "false", "print")
)


def guess_language(text: str) -> str:
    """The ISO 639-1 code of the language most of the text's function words belong to; "en" without any.

    py3langid knows more languages, for 92 MB and a guess of Hausa for "fix login bug".
    """
    text = text[:_READ]
    letters = sum(character.isalpha() for character in text)
    for language, script in _SCRIPTS:
        if len(script.findall(text)) > letters * _LEAST_SHARE:
            return language
    words = re.findall(r"[^\W\d_]+(?:['’][^\W\d_]+)?", text.lower())
    return max(_LANGUAGES, key=lambda language: sum(word in _listed(language) for word in words))


@cache
def stop_words(language: str) -> frozenset[str]:
    """Lower-case stop words of a language and of English, which is mixed into every talk about code."""
    return (_listed(language) | _listed("en") | _SYNTAX) - _TELLING


@cache
def _listed(language: str) -> frozenset[str]:
    words: set[str] = stopwordsiso.stopwords(language) if stopwordsiso.has_lang(language) else set()
    return frozenset(words)
