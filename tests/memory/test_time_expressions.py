"""Time expressions in English, French, Spanish and German, seen from a fixed moment."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remanence.memory.time_expressions import find_span

NOW = datetime(2025, 3, 12, 15, 30)  # a Wednesday, local time


def ms(moment: datetime) -> int:
    return int(moment.astimezone().timestamp() * 1000)


@pytest.mark.parametrize(
    ("text", "since", "until"),
    [
        ("what did I ask yesterday?", "2025-03-11", "2025-03-12"),
        ("hier, la question sur nginx", "2025-03-11", "2025-03-12"),
        ("the day before yesterday", "2025-03-10", "2025-03-11"),
        ("avant-hier", "2025-03-10", "2025-03-11"),
        ("aujourd'hui", "2025-03-12", "2025-03-13"),
        ("aujourd’hui", "2025-03-12", "2025-03-13"),
        ("the bug from last week", "2025-03-03", "2025-03-10"),
        ("la semaine dernière on a parlé de Docker", "2025-03-03", "2025-03-10"),
        ("la semaine passée", "2025-03-03", "2025-03-10"),
        ("this week", "2025-03-10", "2025-03-17"),
        ("cette semaine", "2025-03-10", "2025-03-17"),
        ("last month", "2025-02-01", "2025-03-01"),
        ("le mois dernier", "2025-02-01", "2025-03-01"),
        ("this month", "2025-03-01", "2025-04-01"),
        ("ce mois-ci", "2025-03-01", "2025-04-01"),
        ("l'année dernière", "2024-01-01", "2025-01-01"),
        ("l'an dernier", "2024-01-01", "2025-01-01"),
        ("il y a un an", "2024-01-01", "2025-01-01"),
        ("last year", "2024-01-01", "2025-01-01"),
        ("two days ago", "2025-03-10", "2025-03-11"),
        ("il y a deux jours", "2025-03-10", "2025-03-11"),
        ("il y a 3 semaines", "2025-02-17", "2025-02-24"),
        ("a week ago", "2025-03-03", "2025-03-10"),
        ("two months ago", "2025-01-01", "2025-02-01"),
        ("in the last 7 days", "2025-03-05", "2025-03-13"),
        ("ces 3 derniers jours", "2025-03-09", "2025-03-13"),
        ("les deux dernières semaines", "2025-02-26", "2025-03-13"),
        ("in March", "2025-03-01", "2025-04-01"),
        ("in April", "2024-04-01", "2024-05-01"),
        ("en février", "2025-02-01", "2025-03-01"),
        ("en août 2023", "2023-08-01", "2023-09-01"),
        ("December 2024", "2024-12-01", "2025-01-01"),
        ("on March 5", "2025-03-05", "2025-03-06"),
        ("on May 7th, 2023", "2023-05-07", "2023-05-08"),
        ("le 5 mars 2024", "2024-03-05", "2024-03-06"),
        ("le 1er janvier", "2025-01-01", "2025-01-02"),
        ("on 2024-07-09", "2024-07-09", "2024-07-10"),
        ("in 2024-07", "2024-07-01", "2024-08-01"),
        ("in 2023", "2023-01-01", "2024-01-01"),
        ("last Monday", "2025-03-10", "2025-03-11"),
        ("last Wednesday", "2025-03-05", "2025-03-06"),
        ("lundi dernier", "2025-03-10", "2025-03-11"),
        ("the meeting on 12 may", "2024-05-12", "2024-05-13"),
        ("what broke May 7th?", "2024-05-07", "2024-05-08"),
        ("la réunion d’hier", "2025-03-11", "2025-03-12"),
        ("début janvier", "2025-01-01", "2025-02-01"),
        ("¿qué dije ayer sobre Docker?", "2025-03-11", "2025-03-12"),
        ("anteayer", "2025-03-10", "2025-03-11"),
        ("antes de ayer", "2025-03-10", "2025-03-11"),
        ("hoy", "2025-03-12", "2025-03-13"),
        ("hace dos días", "2025-03-10", "2025-03-11"),
        ("hace 3 semanas", "2025-02-17", "2025-02-24"),
        ("hace un par de meses", "2025-01-01", "2025-02-01"),
        ("hace un año", "2024-01-01", "2025-01-01"),
        ("tres días atrás", "2025-03-09", "2025-03-10"),
        ("la semana pasada hablamos de nginx", "2025-03-03", "2025-03-10"),
        ("el mes pasado", "2025-02-01", "2025-03-01"),
        ("la última semana", "2025-03-03", "2025-03-10"),
        ("el año anterior", "2024-01-01", "2025-01-01"),
        ("esta semana", "2025-03-10", "2025-03-17"),
        ("este mes", "2025-03-01", "2025-04-01"),
        ("en los últimos 7 días", "2025-03-05", "2025-03-13"),
        ("las dos últimas semanas", "2025-02-26", "2025-03-13"),
        ("el lunes", "2025-03-10", "2025-03-11"),
        ("el miércoles pasado", "2025-03-05", "2025-03-06"),
        ("en marzo", "2025-03-01", "2025-04-01"),
        ("desde abril de 2024", "2024-04-01", "2024-05-01"),
        ("el error de setiembre", "2024-09-01", "2024-10-01"),
        ("el 3 de marzo de 2025", "2025-03-03", "2025-03-04"),
        ("3 de abril", "2024-04-03", "2024-04-04"),
        ("marzo de 2024", "2024-03-01", "2024-04-01"),
        ("en 2023", "2023-01-01", "2024-01-01"),
        ("was habe ich gestern gefragt?", "2025-03-11", "2025-03-12"),
        ("vorgestern", "2025-03-10", "2025-03-11"),
        ("heute", "2025-03-12", "2025-03-13"),
        ("vor zwei Tagen", "2025-03-10", "2025-03-11"),
        ("vor 3 Wochen", "2025-02-17", "2025-02-24"),
        ("vor einem Monat", "2025-02-01", "2025-03-01"),
        ("vor zwölf Tagen", "2025-02-28", "2025-03-01"),
        ("letzte Woche ging es um Docker", "2025-03-03", "2025-03-10"),
        ("im letzten Monat", "2025-02-01", "2025-03-01"),
        ("letztes Jahr", "2024-01-01", "2025-01-01"),
        ("diese Woche", "2025-03-10", "2025-03-17"),
        ("in diesem Monat", "2025-03-01", "2025-04-01"),
        ("in den letzten 7 Tagen", "2025-03-05", "2025-03-13"),
        ("die letzten zwei Wochen", "2025-02-26", "2025-03-13"),
        ("letzten Montag", "2025-03-10", "2025-03-11"),
        ("am Mittwoch", "2025-03-05", "2025-03-06"),
        ("im März", "2025-03-01", "2025-04-01"),
        ("Ende Mai", "2024-05-01", "2024-06-01"),
        ("seit Jänner", "2025-01-01", "2025-02-01"),
        ("am 3. März", "2025-03-03", "2025-03-04"),
        ("am 3. März 2024", "2024-03-03", "2024-03-04"),
        ("vom 24.12.2024", "2024-12-24", "2024-12-25"),
        ("Dezember 2024", "2024-12-01", "2025-01-01"),
        ("im Jahr 2023", "2023-01-01", "2024-01-01"),
    ],
)
def test_a_named_time_is_a_span(text: str, since: str, until: str) -> None:
    span = find_span(text, ms(NOW))
    assert span is not None
    assert (span.since, span.until) == (
        ms(datetime.fromisoformat(since)),
        ms(datetime.fromisoformat(until)) - 1,
    )


@pytest.mark.parametrize(
    "text",
    [
        "how do I march through a list",
        "may I use a lock here?",
        "le cahier des charges",
        "the last item of a list",
        "error 2024 in the parser",
        "February 31",
        "for 3 days",
        "",
        "line 12 may fail",
        "may 3 threads share it?",
        "it takes march 5 steps",
        "encrypt it in 2048 bits",
        "split it in 2000 rows",
        "el mar y la playa",
        "so do I",
        "im Maischebottich",
        "datetime.today()",
        "Date.today",
        "yesterday = today() - timedelta(days=1)",
        "def last_week(self):",
        "this.week",
        "last-week",
        "--since=yesterday",
        'parse("yesterday")',
        "src/today/march.py",
        "api-version=2024-05-01",
        "app-2024-05-01.log",
        "backup_2024-05-01",
        "CVE-2024-01",
        "parse_date getUserName lastDay DateRange.this_month MONTHS[may]",
        "SELECT * FROM a JOIN monday ON monday.id = a.id",
        "10.12.2024.1",
    ],
)
def test_a_text_that_names_no_time_has_none(text: str) -> None:
    assert find_span(text, ms(NOW)) is None


def test_the_phrase_is_given_as_written() -> None:
    span = find_span("Qu'avons-nous décidé la Semaine Dernière ?", ms(NOW))
    assert span is not None
    assert span.phrase == "la Semaine Dernière"


def test_the_last_day_of_a_long_month_has_a_month_before_it() -> None:
    span = find_span("two months ago", ms(datetime(2025, 4, 30, 12)))
    assert span is not None
    assert span.since == ms(datetime(2025, 2, 1))


TELLING = """
    hace vor il y a ago last letzte pasada dernier in en im on am el le de the of two zwei dos deux 3 31. 2024
    2025-02-31 31.2.2024 days Tagen días jours mars may March marzo März yesterday gestern ayer hier
""".split()  # noqa: SIM905
TEXTS = st.one_of(st.text(max_size=200), st.lists(st.sampled_from(TELLING), max_size=12).map(" ".join))


@settings(deadline=None)
@given(TEXTS, st.datetimes(datetime(2016, 1, 1), datetime(2035, 1, 1)))
def test_any_text_is_read_without_error(text: str, now: datetime) -> None:
    span = find_span(text, ms(now))
    assert span is None or (span.since <= span.until and span.phrase in text)


@settings(deadline=None)
@given(
    st.lists(
        st.from_regex(r"[a-z]+(_[a-z]+|[A-Z][a-z]+|\\.[a-z]+\\(\\)?|/[a-z]+)", fullmatch=True), max_size=8
    )
)
def test_a_query_of_identifiers_names_no_time(identifiers: list[str]) -> None:
    assert find_span(" ".join(identifiers), ms(NOW)) is None


def test_only_the_beginning_of_a_long_text_is_read() -> None:
    assert find_span("x " * 1990 + "yesterday", ms(NOW)) is not None
    assert find_span("x " * 50_000 + "yesterday", ms(NOW)) is None


@settings(deadline=None)
@given(
    st.integers(1, 60),
    st.sampled_from(
        [
            ("days", "jours", "días", "Tagen"),
            ("weeks", "semaines", "semanas", "Wochen"),
            ("months", "mois", "meses", "Monaten"),
        ]
    ),
    st.datetimes(datetime(2020, 1, 1), datetime(2035, 1, 1)),
)
def test_so_long_ago_holds_that_moment_in_every_language(
    count: int, units: tuple[str, str, str, str], now: datetime
) -> None:
    phrases = [f"{count} {units[0]} ago", f"il y a {count} {units[1]}", f"hace {count} {units[2]}"]
    english, *others = [find_span(phrase, ms(now)) for phrase in (*phrases, f"vor {count} {units[3]}")]
    assert english is not None
    for other in others:
        assert other is not None
        assert (english.since, english.until) == (other.since, other.until)
    if units[0] != "months":
        then = now - timedelta(days=count * (7 if units[0] == "weeks" else 1))
        assert english.since - 3_600_000 <= ms(then) <= english.until + 3_600_000
