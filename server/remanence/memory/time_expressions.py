"""When a question means: "last week", "en marzo", "il y a deux jours", "letzten Montag" as a span of time.

English, French, Spanish and German. A phrase counts where prose would have it: not as part of a name, a
path, a call or a string of code.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache

from remanence.memory.time_words import (
    EVERYDAY_MONTHS,
    MONTHS,
    MONTHS_OF,
    NUMBERS,
    UNITS,
    UNITS_OF,
    WEEKDAYS,
)

_READ = 4000  # characters: a question says when it means near its beginning
_FIRST_YEAR = 2010  # "in 2000 rows" and "in 2048 bits" are no years, and nobody has older conversations


@dataclass(frozen=True, slots=True)
class Span:
    """A span of time that a text names: epoch milliseconds, `until` inclusive; `phrase` as it was written."""

    since: int
    until: int
    phrase: str


def find_span(text: str, now_ms: int) -> Span | None:
    """The first span of time that the beginning of a text (4,000 characters) names, seen from `now_ms` in
    this machine's time zone; None for any text that names none. Never raises."""
    text = text[:_READ]
    folded = _fold(text)
    kinds = {_KINDS[word] for word in _WORDS.findall(folded) if word in _KINDS}
    if "20" in folded:
        kinds.add("year")
    if not kinds:
        return None
    now = datetime.fromtimestamp(now_ms / 1000).astimezone()
    for kind, pattern, resolve in _PATTERNS:
        if kind not in kinds:
            continue
        for match in pattern.finditer(folded):
            if _is_everyday_word(text, match):
                continue
            try:
                start, end = resolve(match, now)
            except (ValueError, OverflowError):
                continue  # a 31st of February, or centuries ago
            phrase = text[match.start() : match.end()]
            return Span(int(start.timestamp() * 1000), int(end.timestamp() * 1000) - 1, phrase)
    return None


def _fold(text: str) -> str:
    """Lower-case without accents, each character still at its place."""
    return text.lower() if text.isascii() else "".join(map(_folded_character, text))


@lru_cache(4096)
def _folded_character(character: str) -> str:
    base = unicodedata.normalize("NFD", character)[0].lower()
    if len(base) != 1:
        return character
    return {"’": "'", "\u00a0": " ", "\u202f": " "}.get(base, base)


def _is_everyday_word(text: str, match: re.Match[str]) -> bool:
    """ "Line 12 may fail": a date that is none, for want of a capital letter or of an "on"."""
    groups = match.groupdict()
    if groups.get("month") not in EVERYDAY_MONTHS or groups.get("year") is not None:
        return False
    bare = match.start() == min(match.start(name) for name in ("month", "day") if groups.get(name))
    return bare and not text[match.start("month")].isupper()


Resolve = Callable[["re.Match[str]", datetime], tuple[datetime, datetime]]


def _day(moment: datetime) -> datetime:
    return moment.replace(hour=0, minute=0, second=0, microsecond=0)


def _unit_start(unit: str, moment: datetime) -> datetime:
    day = _day(moment)
    if unit == "week":
        return day - timedelta(days=day.weekday())
    if unit == "month":
        return day.replace(day=1)
    return day.replace(month=1, day=1) if unit == "year" else day


def _back(unit: str, moment: datetime, count: int) -> datetime:
    """`count` units earlier; the last day of the month where that day does not exist."""
    if unit in ("day", "week"):
        return moment - timedelta(days=count * (7 if unit == "week" else 1))
    months = moment.year * 12 + moment.month - 1 - count * (12 if unit == "year" else 1)
    year, month = divmod(months, 12)
    for day in range(moment.day, 27, -1):
        try:
            return moment.replace(year=year, month=month + 1, day=day)
        except ValueError:
            continue
    return moment.replace(year=year, month=month + 1)


def _days_back(count: int) -> Resolve:
    def resolve(_: re.Match[str], now: datetime) -> tuple[datetime, datetime]:
        start = _day(now) - timedelta(days=count)
        return start, start + timedelta(days=1)

    return resolve


def _ago(match: re.Match[str], now: datetime) -> tuple[datetime, datetime]:
    unit, count = UNITS[match["unit"]], _count(match["number"])
    start = _unit_start(unit, _back(unit, now, count))
    return start, _back(unit, start, -1)


def _lately(match: re.Match[str], now: datetime) -> tuple[datetime, datetime]:
    unit, count = UNITS[match["unit"]], _count(match["number"])
    return _day(_back(unit, now, count)), _day(now) + timedelta(days=1)


def _current(match: re.Match[str], now: datetime) -> tuple[datetime, datetime]:
    unit = UNITS[match["unit"]]
    start = _unit_start(unit, now)
    return start, _back(unit, start, -1)


def _previous(match: re.Match[str], now: datetime) -> tuple[datetime, datetime]:
    unit = UNITS[match["unit"]]
    end = _unit_start(unit, now)
    return _back(unit, end, 1), end


def _weekday(match: re.Match[str], now: datetime) -> tuple[datetime, datetime]:
    today = _day(now)
    start = today - timedelta(days=(today.weekday() - WEEKDAYS[match["weekday"]] - 1) % 7 + 1)
    return start, start + timedelta(days=1)


def _in_month(match: re.Match[str], now: datetime) -> tuple[datetime, datetime]:
    month = MONTHS[match["month"]]
    start = _day(now).replace(day=1, month=month, year=_named_year(match, now, (month, 1)))
    return start, _back("month", start, -1)


def _on_date(match: re.Match[str], now: datetime) -> tuple[datetime, datetime]:
    month, day = MONTHS[match["month"]], int(match["day"])
    start = _day(now).replace(year=_named_year(match, now, (month, day)), month=month, day=day)
    return start, start + timedelta(days=1)


def _on_numbered_date(match: re.Match[str], now: datetime) -> tuple[datetime, datetime]:
    start = _day(now).replace(day=1, year=int(match["year"]), month=int(match["number"]))
    if match["day"] is None:
        return start, _back("month", start, -1)
    start = start.replace(day=int(match["day"]))
    return start, start + timedelta(days=1)


def _in_year(match: re.Match[str], now: datetime) -> tuple[datetime, datetime]:
    year = int(match["year"])
    if not _FIRST_YEAR <= year <= now.year:
        raise ValueError(year)
    start = _unit_start("year", now).replace(year=year)
    return start, start.replace(year=start.year + 1)


def _named_year(match: re.Match[str], now: datetime, date: tuple[int, int]) -> int:
    """The year written, or else the latest in which that date is not still to come."""
    year = match.groupdict().get("year")
    if year is not None:
        return int(year)
    return now.year if date <= (now.month, now.day) else now.year - 1


def _count(number: str) -> int:
    return int(number) if number.isdigit() else NUMBERS[number]


def _any(words: Iterable[str]) -> str:
    return "|".join(sorted(words, key=len, reverse=True))


_NUMBER = rf"(?P<number>\d{{1,3}}|{_any(NUMBERS)})"
_MONTH = rf"(?P<month>{_any(MONTHS)})"
_EN_MONTH, _FR_MONTH, _ES_MONTH, _DE_MONTH = (
    rf"(?P<month>{_any(MONTHS_OF[language])})" for language in ("en", "fr", "es", "de")
)
_EN_UNIT, _FR_UNIT, _ES_UNIT, _DE_UNIT = (
    rf"(?P<unit>{_any(UNITS_OF[language])})" for language in ("en", "fr", "es", "de")
)
_WEEKDAY = rf"(?P<weekday>{_any(WEEKDAYS)})"
_YEAR = r"(?P<year>20\d\d)"
_DAY = r"(?P<day>[0-3]?\d)(?:st|nd|rd|th|er)?"
_LAST_DE = r"(?:letzte|vergangene|vorige)[mnrs]?"

_DAYS_AGO = {
    2: "the day before yesterday|avant-hier|anteayer|antier|antes de ayer|vorgestern",
    1: "yesterday|hier|ayer|gestern",
    0: "today|this morning|earlier today|aujourd'hui|ce matin|tout a l'heure|hoy|esta manana|heute|vorhin",
}
_NEAR_DAYS = frozenset(
    """
    yesterday today morning hier aujourd matin heure ayer anteayer antier hoy manana gestern vorgestern heute
    vorhin
    """.split()  # noqa: SIM905
)
# The longer expression before the shorter one that it contains.
_PATTERNS: list[tuple[str, re.Pattern[str], Resolve]] = [
    (kind, re.compile(rf"(?<![\w.$@#=/\\\"`-])(?:{pattern})(?![\w(/\\\"`-]|\.\w| ?=)"), resolve)
    for kind, pattern, resolve in [
        ("day", _DAYS_AGO[2], _days_back(2)),
        ("day", _DAYS_AGO[1], _days_back(1)),
        ("day", _DAYS_AGO[0], _days_back(0)),
        ("unit", rf"(?:a )?{_NUMBER} (?:of )?{_EN_UNIT} ago", _ago),
        ("unit", rf"il y a (?:environ )?{_NUMBER} {_FR_UNIT}", _ago),
        ("unit", rf"hace (?:unos |unas |casi |un )?{_NUMBER} (?:de )?{_ES_UNIT}", _ago),
        ("unit", rf"{_NUMBER} {_ES_UNIT} atras", _ago),
        ("unit", rf"vor (?:etwa |rund |ungefahr )?{_NUMBER} {_DE_UNIT}", _ago),
        ("unit", rf"(?:(?:in|over|during) )?(?:the )?(?:last|past) {_NUMBER} {_EN_UNIT}", _lately),
        ("unit", rf"(?:ces|les|des) {_NUMBER} (?:dernier|derniere|passe|passee)e?s {_FR_UNIT}", _lately),
        ("unit", rf"(?:en |durante )?l[oa]s ultim[oa]s {_NUMBER} {_ES_UNIT}", _lately),
        ("unit", rf"(?:en |durante )?l[oa]s {_NUMBER} ultim[oa]s {_ES_UNIT}", _lately),
        ("unit", rf"(?:in den |die |der )?{_LAST_DE} {_NUMBER} {_DE_UNIT}", _lately),
        ("unit", rf"this {_EN_UNIT}", _current),
        ("unit", rf"(?:ce|cet|cette) {_FR_UNIT}(?:-ci)?", _current),
        ("unit", rf"(?:este|esta) {_ES_UNIT}", _current),
        ("unit", rf"diese[mnrs]? {_DE_UNIT}", _current),
        ("unit", rf"(?:last|previous) {_EN_UNIT}", _previous),
        ("unit", rf"(?:la |le |l')?{_FR_UNIT} (?:derniere|dernier|passee|passe)", _previous),
        ("unit", rf"(?:la |el )?{_ES_UNIT} (?:pasad[oa]|anterior)", _previous),
        ("unit", rf"(?:la |el )?(?:ultim[oa]|pasad[oa]) {_ES_UNIT}", _previous),
        ("unit", rf"{_LAST_DE} {_DE_UNIT}", _previous),
        ("weekday", rf"(?:last|on|this past) {_WEEKDAY}", _weekday),
        ("weekday", rf"(?:le )?{_WEEKDAY} (?:dernier|passe)", _weekday),
        ("weekday", rf"el (?:pasado )?{_WEEKDAY}(?: pasado)?", _weekday),
        ("weekday", rf"(?:am|{_LAST_DE}) {_WEEKDAY}", _weekday),
        ("year", rf"{_YEAR}-(?P<number>[01]\d)(?:-(?P<day>[0-3]\d))?", _on_numbered_date),
        ("year", rf"(?P<day>[0-3]?\d)\.(?P<number>[01]?\d)\.{_YEAR}", _on_numbered_date),
        ("month", rf"(?:on )?{_MONTH} {_DAY}(?:,? {_YEAR})?", _on_date),
        ("month", rf"(?:on |le )?{_DAY} (?:of )?{_MONTH}(?: {_YEAR})?", _on_date),
        ("month", rf"(?:el )?{_DAY} de {_ES_MONTH}(?: del? {_YEAR})?", _on_date),
        ("month", rf"(?:am |vom )?(?P<day>[0-3]?\d)\. ?{_DE_MONTH}(?: {_YEAR})?", _on_date),
        ("month", rf"(?:in|during|since|last) {_EN_MONTH}(?: (?:of )?{_YEAR})?", _in_month),
        ("month", rf"(?:en|au mois de|depuis|debut|fin) {_FR_MONTH}(?: {_YEAR})?", _in_month),
        ("month", rf"(?:en|de|desde|durante|el mes de) {_ES_MONTH}(?: del? {_YEAR})?", _in_month),
        ("month", rf"(?:im|seit|anfang|mitte|ende|{_LAST_DE}) {_DE_MONTH}(?: {_YEAR})?", _in_month),
        ("month", rf"{_MONTH} (?:del? )?{_YEAR}", _in_month),
        ("month", rf"{_MONTH} (?:dernier|passe|pasado)", _in_month),
        ("year", rf"(?:in|during|en|durante|im jahre?) (?:el ano )?{_YEAR}", _in_year),
    ]
]
_WORDS = re.compile(r"[^\W\d_]+")
_KINDS = (
    dict.fromkeys(_NEAR_DAYS, "day")
    | dict.fromkeys((*(UNITS.keys() - {"an"}), "il", "dernier", "passe"), "unit")  # "an" is English too
    | dict.fromkeys(WEEKDAYS, "weekday")
    | dict.fromkeys(MONTHS, "month")
)
