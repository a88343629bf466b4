"""Text to index terms, the same for memories and queries: identifiers split, accents folded, stemmed."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

import tantivy

STEMMED = "terms"
WHOLE = "words"
_WORD = r"[\p{L}\p{N}\p{M}_]+"  # Rust's regex syntax, not Python's
_LONGEST = 100  # bytes; longer runs are base64 and hashes
_RUN = re.compile(r"\w+")
_PART = re.compile(r"[A-Z]{2,}(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+")
_CJK = re.compile(r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff]+")

STOP_WORDS = frozenset(
    """
    a about after all also am an and any are as at be been before being but by can could did do does doing
    don for from get give got had has have having he her here hers him his how i if in into is it its just
    let like me more most my no not now of off on one or other our out over own please s same she should so
    some such t than that the their them then there these they this those through to too under until up us
    use used using very want was we were what when where which while who whom why will with would you your

    alors au aucun aussi autre aux avec avoir ce cela ces cet cette ceux chaque ci comme comment d dans de
    des donc du elle elles en encore est et etait etre eu fait faire fois il ils j je l la le les leur leurs
    lui ma mais me meme mes moi mon n ne ni nos notre nous on ont ou par pas peut peux plus pour pourquoi qu
    quand que quel quelle quels qui quoi s sa sans se ses si son sont sous sur ta te tes toi ton tous tout
    tres tu un une vers voici vos votre vous y

    al algo como con cual cuando del desde donde el ella ellos entre era es esa ese eso esta este esto fue ha
    hacer hago hay la las lo los mas mi mis muy o para pero por porque puede puedo que quiero se ser si sin
    sobre son su sus tiene tengo todo un una uno unos usar y ya yo

    aber als am an auf aus bei bin bis das dass dem den der des die du ein eine einem einen einer er es
    fur hat ich ihr im in ist ja kann kein man mein mich mir mit nach nicht noch nur oder sich sie sind so
    uber um und uns von war was wenn wer wie wir wo zu zum zur
    """.split()  # noqa: SIM905  a list of 300 words would take 300 lines
)


def _analyzer(stem: bool) -> tantivy.TextAnalyzer:
    builder = (
        tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.regex(_WORD))
        .filter(tantivy.Filter.remove_long(_LONGEST))
        .filter(tantivy.Filter.lowercase())
        .filter(tantivy.Filter.ascii_fold())
    )
    # English alone: on French and Spanish it takes off little more than the plural
    return (builder.filter(tantivy.Filter.stemmer("english")) if stem else builder).build()


_ANALYZERS = {STEMMED: _analyzer(stem=True), WHOLE: _analyzer(stem=False)}


def well_formed(text: str) -> str:
    """The text in NFC and without lone surrogates, which are legal in a str and nowhere else."""
    if text.isascii():
        return text
    return unicodedata.normalize("NFC", text.encode("utf-8", "replace").decode())


def _analyze(name: str, text: str) -> list[str]:
    return _ANALYZERS[name].analyze(text)


def register(index: tantivy.Index) -> None:
    """Give the index both analyzers under their names; needed each time it is opened."""
    for name, analyzer in _ANALYZERS.items():
        index.register_tokenizer(name, analyzer)


def expanded(text: str) -> str:
    """The text followed by the parts of its compound identifiers and the bigrams of its CJK runs."""
    text = well_formed(text)
    parts = [part for word in dict.fromkeys(_RUN.findall(text)) for part in _parts(word)]
    if not text.isascii():
        parts += [run[i : i + 2] for run in _CJK.findall(text) for i in range(len(run) - 1)]
    return f"{text}\n{' '.join(parts)}" if parts else text


def identifier_parts(identifier: str) -> list[str]:
    """`getUserName`, `user_name`, `path/to.py` → their words, lower-case; a plain word gives itself."""
    words: list[str] = []
    for word in _RUN.findall(identifier):
        words += _parts(word) or [word]
    return [word.lower() for word in words]


def _parts(word: str) -> Iterable[str]:
    tail = word[1:]
    if ("_" not in tail and (tail.islower() or tail == tail.lower())) or len(word) > _LONGEST:
        return ()
    if word.isascii():
        parts = [part for part in _PART.findall(word) if len(part) > 1]
    else:
        parts = [part for part in word.split("_") if part]
    return parts if parts != [word] else ()


def stems(text: str) -> list[str]:
    """The index terms of a text in order, stop words included."""
    return _analyze(STEMMED, expanded(text))


def words(text: str) -> list[str]:
    """The unstemmed words of a text in order, lower-case and without accents."""
    return _analyze(WHOLE, well_formed(text))


def query_stems(text: str) -> list[str]:
    """The distinct index terms of a query; its function words only where it has nothing else."""
    source = expanded(text)
    pairs = zip(_analyze(STEMMED, source), _analyze(WHOLE, source), strict=True)
    kept: dict[str, None] = {}
    every: dict[str, None] = {}
    for stem, word in pairs:
        every[stem] = None
        if word not in STOP_WORDS:
            kept[stem] = None
    return list(kept or every)
