"""Where an exchange says that something changes, and what rules its question states; in four languages.

Rules are those of the user: what an answer recommends ("you should always") binds nobody. Whole phrases are
looked for, and only those whose longest word the text has: one regular expression of them all takes ten
times as long. Where something was found in a text is remembered by the text's hash; what it says is not,
since it may be forgotten.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

from remanence.memory import terms
from remanence.memory.function_words import is_function_word

_REMEMBERED = 5000  # questions, and as many answers: a megabyte or two
_MOST = 20  # statements of a text
_NEAR = 40  # characters between words of change that count as one place
_WORD = re.compile(r"\w+")
_APART = str.maketrans(dict.fromkeys("!\"#$%&'()*+,-./:;<=>?@[\\]^`{|}~’“”«»…", " "))

Phrases = Mapping[str, tuple[tuple[str, str], ...]]  # each with its kind, under its longest word


def _phrases(text: str) -> tuple[str, ...]:
    return tuple(phrase for line in text.splitlines() for each in line.split("|") if (phrase := each.strip()))


# What says that something is no longer as it was.
_CHANGE = _phrases(
    """
    from now on | from here on | from today | from this point | as of now | as of today | starting today
    going forward | moving forward | henceforth | effective immediately | no longer | anymore
    instead of | rather than | in place of | update | updates | updated | updating | change to | change in
    change of | changes to | changed | changing | new standard | new rule | new convention | new policy
    new guideline | we moved | we switched | we migrated | we decided | we've decided | switch to
    switched to | switching to | migrated to | replaced | scrap that | we now | we're now | should now
    must now
    désormais | dorénavant | à partir de maintenant | à partir d'aujourd'hui | ne plus | n'utilise plus
    n'utilisons plus | au lieu de | au lieu d | plutôt que | avons changé | on a changé | avons décidé
    on a décidé | on passe à | mise à jour | mettre à jour | nouvelle règle | nouvelle convention
    remplace | remplacé | remplacer | remplaçons
    a partir de ahora | a partir de hoy | de ahora en adelante | ya no | en lugar de | en vez de
    hemos cambiado | hemos decidido | ahora usamos | pasamos a | dejamos de | nueva regla | nueva norma
    nueva convención | actualizar | actualizado | actualizamos | actualización | reemplaza | reemplazamos
    reemplazar
    ab jetzt | ab sofort | ab heute | von nun an | künftig | in zukunft | nicht mehr | nicht länger
    stattdessen | anstatt | haben beschlossen | umgestellt | geändert | neue regel | neue konvention
    aktualisieren | aktualisiert | ersetzen | ersetzt
    """
)
# The words of whoever says how things are to be done.
_RULE = _phrases(
    """
    always | never | must | should | shall | please | ensure | make sure | remember to | be sure to
    have to | has to | need to | needs to | need you to | want you to | like you to | do not | don't
    prefer | we use
    toujours | jamais | il faut | doit | doivent | devons | devez | veuillez | on utilise | nous utilisons
    siempre | nunca | debe | deben | debes | debemos | hay que | tiene que | tienes que | usamos
    immer | niemals | nie | muss | müssen | soll | sollen | sollte | sollten | bitte | wir verwenden
    """
)
# What they begin with, or go on with after a comma: "When naming tests, start with the module".
_DO = _phrases(
    """
    use | start | begin | end | name | call | prefix | put | write | keep | run | set | avoid | follow
    stick to
    utilise | utilisez | utilisons | mets | mettez | écris | écrivez | évite | évitez | nomme | nommez
    usa | utiliza | utilice | pon | escribe | evita | nombra
    verwende | verwendet | nutze | nutzt | nimm | nehmt | schreib | schreibt | vermeide | benenne
    """
)
# "I have never", "I need to" and "in order to ensure" tell nobody what to do.
_NOT_AFTER = {
    **dict.fromkeys(("ensure", "make sure"), ("to ", "i ", "'ll ")),
    **dict.fromkeys(("never", "always"), ("have ", "'ve ", "has ", "had ", "i ")),
    **dict.fromkeys(("must", "should", "shall", "have to", "need to", "do not", "don't"), ("i ", "'ll ")),
}
# What takes the place of something says so outright.
_INSTEAD = _phrases(
    """
    no longer | anymore | instead | rather than | in place of | replace | replaces | replaced
    stop
    ne plus | au lieu de | au lieu d | plutôt que | remplace | remplacé | remplacer | remplaçons
    ya no | en lugar de | en vez de | reemplaza | reemplazamos | reemplazar
    nicht mehr | stattdessen | anstatt | ersetzen | ersetzt
    """
)
# A rule that adds something holds beside an earlier one that added something else.
_ADDS = _phrases(
    """
    add | adds | added | adding | include | includes | included | including | import | imports | importing
    incorporate | incorporating
    ajoute | ajouter | ajoutez | inclure | incluez | importe | importer | importez
    añade | añadir | añadid | incluye | incluir | agrega | agregar | importar
    hinzufügen | füge | fügt | importiere | importieren
    """
)
_QUOTED = re.compile(r"`[^`\n]*`|\"[^\"\n]*\"|(?<!\w)'[^'\n]{1,60}'(?!\w)|“[^”\n]*”|«[^»\n]*»")
_ENDS = (". ", "? ", "! ", "\n")
_BEGINS = frozenset({"", "\n", ", ", ". ", ": ", "! ", "- ", "* ", "\n\n", ".\n", ":\n", ",\n"})


def _by_word(**kinds: tuple[str, ...]) -> Phrases:
    listed: dict[str, tuple[tuple[str, str], ...]] = {}
    for kind, phrases in kinds.items():
        for phrase in phrases:
            longest = max(_WORD.findall(phrase), key=len)
            listed[longest] = (*listed.get(longest, ()), (phrase, kind))
    return listed


_CHANGES_BY_WORD = _by_word(change=_CHANGE)
_ALL_BY_WORD = _by_word(change=_CHANGE, rule=_RULE, do=_DO, instead=_INSTEAD, adds=_ADDS)
RULE_TERMS = frozenset(term for phrase in _RULE for term in terms.stems(phrase))


@dataclass(frozen=True, slots=True)
class Statement:
    """A sentence that states a rule, or what changed.

    `terms` are its index terms in order, with "" wherever the next word is not joined to the last in one
    name; what it quotes is left out, since the value of a rule is what changes. `adds`: it may hold beside
    others of its kind; `instead`: it says outright that it takes the place of one.
    """

    terms: tuple[str, ...]
    adds: bool
    instead: bool


@dataclass(frozen=True, slots=True)
class _Stated:
    """Where a statement begins and ends, and what it is: see `Statement`."""

    start: int
    end: int
    adds: bool
    instead: bool


@dataclass(frozen=True, slots=True)
class _Read:
    """Where a text speaks of change, (begin, end), and where it states something."""

    changes: tuple[tuple[int, int], ...]
    stated: tuple[_Stated, ...]


_QUESTIONS: dict[int, _Read] = {}
_ANSWERS: dict[int, tuple[tuple[int, int], ...]] = {}


def statements(question: str) -> list[Statement]:
    """What a question states, in order."""
    return [
        Statement(_terms(question[each.start : each.end]), each.adds, each.instead)
        for each in _question(question).stated
    ]


def changes(question: str, answer: str) -> list[tuple[int, int]]:
    """Where a question, a line break and an answer speak of change: begin and end, in order."""
    key = hash(answer)
    in_answer = _ANSWERS.get(key)
    if in_answer is None:
        in_answer = _joined(
            sorted((start, end) for start, end, _ in _found(_plain(answer), _CHANGES_BY_WORD))
        )
        if len(_ANSWERS) >= _REMEMBERED:
            _ANSWERS.clear()
        _ANSWERS[key] = in_answer
    beyond = len(question) + 1
    return [*_question(question).changes, *((beyond + start, beyond + end) for start, end in in_answer)]


def _question(text: str) -> _Read:
    key = hash(text)
    known = _QUESTIONS.get(key)
    if known is None:
        known = _read(text)
        if len(_QUESTIONS) >= _REMEMBERED:
            _QUESTIONS.clear()
        _QUESTIONS[key] = known
    return known


def _read(question: str) -> _Read:
    text = _plain(question)
    changed: list[tuple[int, int]] = []
    sentences: dict[int, int] = {}
    marked: dict[str, set[int]] = {"instead": set(), "adds": set()}
    for start, end, kind in _found(text, _ALL_BY_WORD):
        if kind == "change":
            changed.append((start, end))
        if text.count("```", 0, start) % 2:  # in code
            continue
        sentence = _sentence(text, start)
        if kind in marked:
            marked[kind].add(sentence[0])
        elif _is_meant(text, start, end, kind):
            sentences[sentence[0]] = sentence[1]
        if kind == "change" and sentence[1] < len(text) and text[sentence[1]] != "\n":
            after = _sentence(text, sentence[1] + 1)  # which may say what the change is
            sentences[after[0]] = after[1]
    stated = [
        _Stated(start, end, start in marked["adds"], start in marked["instead"])
        for start, end in sorted(sentences.items())
        if start < end and text[end - 1] != "?"  # who asks states nothing
    ]
    return _Read(_joined(sorted(changed)), tuple(stated[:_MOST]))


def _plain(text: str) -> str:
    # each letter stays in its place: of all of them only this one becomes two
    return text.replace("İ", "I").lower().replace("’", "'")


def _found(text: str, listed: Phrases) -> Iterator[tuple[int, int, str]]:
    """Where each phrase begins and ends, as whole words; and its kind."""
    for word in listed.keys() & set(text.translate(_APART).split()):
        for phrase, kind in listed[word]:
            start = text.find(phrase)
            while start >= 0:
                end = start + len(phrase)
                if not (start and text[start - 1].isalnum()) and not text[end : end + 1].isalnum():
                    yield start, end, kind
                start = text.find(phrase, end)


def _is_meant(text: str, start: int, end: int, kind: str) -> bool:
    """Whether a phrase tells somebody what to do, or what changes."""
    if kind == "do":
        return text[max(start - 2, 0) : start] in _BEGINS
    return not text[max(start - 5, 0) : start].endswith(_NOT_AFTER.get(text[start:end], ()))


def _joined(places: Sequence[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """The same places in order, those as one that are near each other."""
    joined: list[tuple[int, int]] = []
    for start, end in places:
        if joined and start - joined[-1][1] < _NEAR:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return tuple(joined)


def _sentence(text: str, at: int) -> tuple[int, int]:
    """Where the sentence around a place begins and ends."""
    starts = [found + len(mark) for mark in _ENDS if (found := text.rfind(mark, 0, at)) >= 0]
    ends = [found for mark in _ENDS if (found := text.find(mark, at)) >= 0]
    end = min(ends, default=len(text))
    if end < len(text) and text[end] != "\n":
        end += 1
    return max(starts, default=0), end


def _terms(sentence: str) -> tuple[str, ...]:
    """See `Statement.terms`."""
    plain = _QUOTED.sub(" . ", sentence)
    listed: list[str] = []
    last = 0
    for word in _WORD.finditer(plain):
        found = _terms_of(word[0])
        if found:
            start, end = word.span()
            if listed and not (start == last + 1 and plain[last] == " " and not word[0].endswith("ing")):
                listed.append("")
            listed += found
            last = end
    return tuple(listed)


@lru_cache(5000)
def _terms_of(word: str) -> tuple[str, ...]:
    return () if is_function_word(word) else tuple(terms.stems(word))


def other_things(earlier: Statement, later: Statement, wanted: frozenset[str]) -> frozenset[str]:
    """Which of the `wanted` terms the later one holds only in the name of something else: where the earlier
    speaks of "branch names", "branch owner names" are another thing."""
    parts = (*earlier.terms, "", "")
    kinds = {
        one
        for one, head, after in zip(parts, parts[1:], parts[2:], strict=False)
        if one in wanted and head in wanted and after not in wanted
    }
    same: set[str] = set()
    other: set[str] = set()
    if kinds:
        for one, after in pairwise((*later.terms, "")):
            if one in kinds:
                (same if not after or after in wanted or after in RULE_TERMS else other).add(one)
    return frozenset(other - same)
