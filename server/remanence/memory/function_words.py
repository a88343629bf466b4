"""The words that hold sentences together and say nothing of what they are about, without accents."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence

ENGLISH = frozenset(
    """
    a about after all also am an and any are as at be been before being but by can could d did do does doing
    don for from get give got had has have having he her here hers him his how i if in into is it its just
    let like ll m me more most my no not now of off on one or other our out over own please s same she should
    so some such t than that the their them then there these they this those through to too under until up us
    use used using ve very want was we were what when where which while who whom why will with would you your
    """.split()  # noqa: SIM905  a list of 300 words would take 300 lines
)
FRENCH = frozenset(
    """
    alors au aucun aussi autre aux avec avoir c ce cela ces cet cette ceux chaque ci comme comment d dans de
    des donc du elle elles en encore est et etait etre eu fait faire fois il ils j je l la le les leur leurs
    lui m ma mais me meme mes moi mon n ne ni nos notre nous on ont ou par pas peut peux plus pour pourquoi qu
    quand que quel quelle quels qui quoi s sa sans se ses si son sont sous sur t ta te tes toi ton tous tout
    tres tu un une vers voici vos votre vous y
    """.split()  # noqa: SIM905
)
SPANISH = frozenset(
    """
    a al algo como con cual cuando de del desde donde e el ella ellos en entre era es esa ese eso esta este
    esto fue ha hacer hago hay la las lo los mas me mi mis muy no o para pero por porque puede puedo que
    quiero se ser si sin sobre son su sus te tiene tengo todo tu un una uno unos usar y ya yo
    """.split()  # noqa: SIM905
)
GERMAN = frozenset(
    """
    aber als am an auf aus bei bin bis das dass dem den der des die du ein eine einem einen einer er es
    fur hat ich ihr im in ist ja kann kein man mein mich mir mit nach nicht noch nur oder sich sie sind so
    uber um und uns von war was wenn wer wie wir wo zu zum zur
    """.split()  # noqa: SIM905
)
_LANGUAGES = (ENGLISH, FRENCH, SPANISH, GERMAN)
_ALL = ENGLISH | FRENCH | SPANISH | GERMAN
_BY_NAME = {"en": ENGLISH, "fr": FRENCH, "es": SPANISH, "de": GERMAN}
_SPOKEN_IN = {word: [name for name, known in _BY_NAME.items() if word in known] for word in _ALL}
_LEAST = 2  # function words that tell a language
_WORD = re.compile(r"[^\W\d_]+")
_ASCII_WORD = re.compile(r"[a-z]+")


def function_words(words: Sequence[str]) -> frozenset[str]:
    """The function words of the language that these words, lower-case and without accents, are of.

    "Son", "die" and "hat" say something in English and nothing elsewhere, so each language's words count
    only where no other has more of them. English ones always do: English is mixed into all talk of code.
    """
    found = [sum(word in language for word in words) for language in _LANGUAGES]
    most = max(found)
    return ENGLISH.union(*(each for each, count in zip(_LANGUAGES, found, strict=True) if count == most))


def is_function_word(word: str) -> bool:
    """Whether it is one in any of the languages."""
    return _plain(word) in _ALL


def language_of(text: str) -> str | None:
    """The language of a text by its function words ("en", "fr", "es", "de"); None where they do not tell."""
    counts = dict.fromkeys(_BY_NAME, 0)
    for word in _words(text):
        for name in _SPOKEN_IN.get(word, ()):
            counts[name] += 1
    first, second = sorted(counts, key=lambda name: -counts[name])[:2]
    return first if counts[first] >= _LEAST and counts[first] > counts[second] else None


def _words(text: str) -> Iterable[str]:
    """The words of a text, lower-case and without accents."""
    if text.isascii():
        return _ASCII_WORD.findall(text.lower())
    return (_plain(word) for word in _WORD.findall(text))


def _plain(word: str) -> str:
    if word.isascii():
        return word.lower()  # what follows would say the same and takes ten times as long
    folded = unicodedata.normalize("NFKD", word.casefold())
    return "".join(letter for letter in folded if not unicodedata.combining(letter))
