"""Time expressions in English and French, seen from a fixed moment."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from hypothesis import given
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


@given(st.text(max_size=200), st.datetimes(datetime(2016, 1, 1), datetime(2035, 1, 1)))
def test_any_text_is_read_without_error(text: str, now: datetime) -> None:
    span = find_span(text, ms(now))
    assert span is None or span.since <= span.until


@given(
    st.integers(1, 60),
    st.sampled_from([("days ago", "jours"), ("weeks ago", "semaines"), ("months ago", "mois")]),
    st.datetimes(datetime(2020, 1, 1), datetime(2035, 1, 1)),
)
def test_so_long_ago_holds_that_moment_in_both_languages(
    count: int, units: tuple[str, str], now: datetime
) -> None:
    english = find_span(f"{count} {units[0]}", ms(now))
    french = find_span(f"il y a {count} {units[1]}", ms(now))
    assert english is not None
    assert french is not None
    assert (english.since, english.until) == (french.since, french.until)
    if units[1] != "mois":
        then = now - timedelta(days=count * (7 if units[1] == "semaines" else 1))
        assert english.since - 3_600_000 <= ms(then) <= english.until + 3_600_000
