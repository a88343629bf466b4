"""When a question means: "last week", "in March", "il y a deux jours" as a span of time (English, French)."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

_NUMBERS = {
    word: number
    for number, words in enumerate(
        [
            "",
            "a an one un une",
            "two deux couple",
            "three trois",
            "four quatre",
            "five cinq",
            "six",
            "seven sept",
            "eight huit",
            "nine neuf",
            "ten dix",
            "eleven onze",
            "twelve douze",
        ]
    )
    for word in words.split()
}
_MONTHS = {
    name: number
    for number, names in enumerate(
        [
            "january janvier",
            "february fevrier",
            "march mars",
            "april avril",
            "may mai",
            "june juin",
            "july juillet",
            "august aout",
            "september septembre",
            "october octobre",
            "november novembre",
            "december decembre",
        ],
        start=1,
    )
    for name in names.split()
}
_DAYS = {
    name: number
    for number, names in enumerate(
        [
            "monday lundi",
            "tuesday mardi",
            "wednesday mercredi",
            "thursday jeudi",
            "friday vendredi",
            "saturday samedi",
            "sunday dimanche",
        ]
    )
    for name in names.split()
}
_UNITS = {
    "day": "day",
    "jour": "day",
    "week": "week",
    "semaine": "week",
    "month": "month",
    "mois": "month",
    "year": "year",
    "an": "year",
    "annee": "year",
}
_NUMBER = rf"(?P<number>\d{{1,3}}|{'|'.join(_NUMBERS)})"
_MONTH = rf"(?P<month>{'|'.join(_MONTHS)})"
_WEEKDAY = rf"(?P<weekday>{'|'.join(_DAYS)})"
_YEAR = r"(?P<year>20\d\d)"
_DAY = r"(?P<day>[0-3]?\d)(?:st|nd|rd|th|er)?"
_EN_UNIT = r"(?P<unit>day|week|month|year)s?"
_FR_UNIT = r"(?P<unit>jour|semaine|mois|annee|an)s?"


@dataclass(frozen=True, slots=True)
class Span:
    """A span of time that a text names: epoch milliseconds, `until` inclusive; `phrase` as it was written."""

    since: int
    until: int
    phrase: str


def find_span(text: str, now_ms: int) -> Span | None:
    """The first span of time that the text names, seen from `now_ms` in this machine's time zone."""
    now = datetime.fromtimestamp(now_ms / 1000).astimezone()
    folded = _fold(text)
    for pattern, resolve in _PATTERNS:
        for match in pattern.finditer(folded):
            try:
                start, end = resolve(match, now)
            except (ValueError, OverflowError):
                continue  # a 31st of February, or centuries ago
            phrase = text[match.start() : match.end()]
            return Span(int(start.timestamp() * 1000), int(end.timestamp() * 1000) - 1, phrase)
    return None


def _fold(text: str) -> str:
    """Lower-case without accents, each character still at its place."""
    if text.isascii():
        return text.lower()
    folded: list[str] = []
    for character in text:
        base = unicodedata.normalize("NFD", character)[0].lower()
        folded.append(base if len(base) == 1 else character)
    return "".join(folded).replace("’", "'")


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
    unit, count = _UNITS[match["unit"]], _count(match["number"])
    start = _unit_start(unit, _back(unit, now, count))
    return start, _back(unit, start, -1)


def _lately(match: re.Match[str], now: datetime) -> tuple[datetime, datetime]:
    unit, count = _UNITS[match["unit"]], _count(match["number"])
    return _day(_back(unit, now, count)), _day(now) + timedelta(days=1)


def _current(match: re.Match[str], now: datetime) -> tuple[datetime, datetime]:
    unit = _UNITS[match["unit"]]
    start = _unit_start(unit, now)
    return start, _back(unit, start, -1)


def _previous(match: re.Match[str], now: datetime) -> tuple[datetime, datetime]:
    unit = _UNITS[match["unit"]]
    end = _unit_start(unit, now)
    return _back(unit, end, 1), end


def _weekday(match: re.Match[str], now: datetime) -> tuple[datetime, datetime]:
    today = _day(now)
    start = today - timedelta(days=(today.weekday() - _DAYS[match["weekday"]] - 1) % 7 + 1)
    return start, start + timedelta(days=1)


def _in_month(match: re.Match[str], now: datetime) -> tuple[datetime, datetime]:
    month = _MONTHS[match["month"]]
    start = _day(now).replace(day=1, month=month, year=_named_year(match, now, (month, 1)))
    return start, _back("month", start, -1)


def _on_date(match: re.Match[str], now: datetime) -> tuple[datetime, datetime]:
    month, day = _MONTHS[match["month"]], int(match["day"])
    start = _day(now).replace(year=_named_year(match, now, (month, day)), month=month, day=day)
    return start, start + timedelta(days=1)


def _on_iso_date(match: re.Match[str], now: datetime) -> tuple[datetime, datetime]:
    start = _day(now).replace(day=1, year=int(match["year"]), month=int(match["number"]))
    if match["day"] is None:
        return start, _back("month", start, -1)
    start = start.replace(day=int(match["day"]))
    return start, start + timedelta(days=1)


def _in_year(match: re.Match[str], now: datetime) -> tuple[datetime, datetime]:
    start = _unit_start("year", now).replace(year=int(match["year"]))
    return start, start.replace(year=start.year + 1)


def _named_year(match: re.Match[str], now: datetime, date: tuple[int, int]) -> int:
    """The year written, or else the latest in which that date is not still to come."""
    if match["year"] is not None:
        return int(match["year"])
    return now.year if date <= (now.month, now.day) else now.year - 1


def _count(number: str) -> int:
    return int(number) if number.isdigit() else _NUMBERS[number]


# The longer expression before the shorter one that it contains.
_PATTERNS: list[tuple[re.Pattern[str], Resolve]] = [
    (re.compile(rf"\b{pattern}\b"), resolve)
    for pattern, resolve in [
        (r"(?:the day before yesterday|avant-hier)", _days_back(2)),
        (r"(?:yesterday|hier)", _days_back(1)),
        (r"(?:today|this morning|earlier today|aujourd'hui|ce matin|tout a l'heure)", _days_back(0)),
        (rf"(?:a )?{_NUMBER} (?:of )?{_EN_UNIT} ago", _ago),
        (rf"il y a {_NUMBER} {_FR_UNIT}", _ago),
        (rf"(?:(?:in|over|during) )?the (?:last|past) {_NUMBER} {_EN_UNIT}", _lately),
        (rf"(?:last|past) {_NUMBER} {_EN_UNIT}", _lately),
        (rf"(?:ces|les|des) {_NUMBER} (?:dernier|derniere|passe|passee)e?s {_FR_UNIT}", _lately),
        (rf"this {_EN_UNIT}", _current),
        (rf"(?:ce|cet|cette) {_FR_UNIT}(?:-ci)?", _current),
        (rf"(?:last|previous) {_EN_UNIT}", _previous),
        (rf"(?:la |le |l')?{_FR_UNIT} (?:derniere|dernier|passee|passe)", _previous),
        (rf"(?:last|on|this past) {_WEEKDAY}", _weekday),
        (rf"{_WEEKDAY} (?:dernier|passe)", _weekday),
        (rf"{_YEAR}-(?P<number>[01]\d)(?:-(?P<day>[0-3]\d))?", _on_iso_date),
        (rf"{_MONTH} {_DAY}(?:,? {_YEAR})?", _on_date),
        (rf"(?:on |le )?{_DAY} (?:of )?{_MONTH}(?: {_YEAR})?", _on_date),
        (rf"(?:in|during|since|en|last|au mois de|depuis) {_MONTH}(?: {_YEAR})?", _in_month),
        (rf"{_MONTH} {_YEAR}", _in_month),
        (rf"{_MONTH} (?:dernier|passe)(?P<year>(?!))?", _in_month),
        (rf"(?:in|during|en) {_YEAR}", _in_year),
    ]
]
