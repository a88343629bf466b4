"""What is said outright becomes a fact; what is asked, supposed or shown as code does not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remanence.memory.fact import Draft, is_grounded
from remanence.memory.fact_rules import draft_facts

SAID_AT = 1_750_000_000_000


def found(question: str, answer: str = "") -> list[tuple[str, str, str]]:
    return [(each.subject, each.topic, each.value) for each in draft_facts(question, answer, SAID_AT)]


@pytest.mark.parametrize(
    ("said", "fact"),
    [
        ("We moved from Jenkins to GitHub Actions last week.", ("project", "uses", "GitHub Actions")),
        ("From now on, use tabs in Go files.", ("project", "decision", "use tabs in Go files")),
        (
            "Désormais, les tests tournent avec pytest.",
            ("project", "decision", "les tests tournent avec pytest"),
        ),
        ("On est passés de Make à Just.", ("project", "uses", "Just")),
        ("A partir de ahora, usamos ruff.", ("project", "decision", "usamos ruff")),
        ("Wir sind auf Postgres umgestiegen.", ("project", "uses", "Postgres")),
        ("The billing-api listens on port 8081.", ("billing-api", "port", "8081")),
        ("The svc1 runs on port 8082.", ("svc1", "port", "8082")),
        ("`auth` écoute sur le port 9443.", ("auth", "port", "9443")),
        ("billing moved to port 9090 yesterday.", ("billing", "port", "9090")),
        ("The cache has moved from port 6379 to port 6380 now.", ("cache", "port", "6380")),
        ("`auth` est passé sur le port 9444.", ("auth", "port", "9444")),
        ("auth ha pasado del puerto 80 al puerto 9444.", ("auth", "port", "9444")),
        ("auth wechselt auf Port 9444.", ("auth", "port", "9444")),
        ("we're on Django 4.2 for now", ("Django", "version", "4.2")),
        ("our logs are in /var/log/app.", ("logs", "path", "/var/log/app")),
        ("My name is Ada Lovelace and I need help.", ("user", "name", "Ada Lovelace")),
        ("Je m'appelle Zoé.", ("user", "name", "Zoé")),
        ("I prefer small functions.", ("user", "preference", "small functions")),
        ("From now on, start all function names with 'do_'.", ("function", "name prefix", "do_")),
        ("We want our table names to end with `_tbl`.", ("table", "name suffix", "_tbl")),
        ('When naming constants, always begin with "K".', ("constant", "name prefix", "K")),
        ("For private method names, please end them with '_p'.", ("private method", "name suffix", "_p")),
        ("Never use print for logging.", ("user", "preference", "Never use print for logging")),
    ],
)
def test_what_is_said_outright_is_a_fact(said: str, fact: tuple[str, str, str]) -> None:
    assert fact in found(said)


@pytest.mark.parametrize(
    "said",
    [
        "Why does the server listen on port 8081?",
        "If we moved to Rust, would it be faster?",
        "Should we use pnpm?",
        "```\n# from now on, use tabs\nport = 8081\n```",
        "Comment le service écoute sur le port 80 ?",
        "Fix this function.",
        "Why do table names end with '_tbl'?",
        "It runs on port 8081 now.",
        "The api is slow, which runs on port 9000 now.",
        "Il écoute sur le port 8080.",
        "We moved to port 4321.",
    ],
)
def test_what_is_asked_supposed_or_shown_is_none(said: str) -> None:
    assert found(said) == []


def test_an_answer_tells_ports_but_no_preferences_of_the_user() -> None:
    assert found("And the port?", "I prefer tabs. The auth service is fine; auth runs on port 7000.") == [
        ("auth", "port", "7000")
    ]


def test_a_fact_is_dated_by_when_it_was_said_and_keeps_its_words() -> None:
    (fact,) = draft_facts("Thanks! The cache runs on port 6379.", "", SAID_AT)
    assert fact.valid_from == SAID_AT
    assert fact.words == "The cache runs on port 6379."
    assert fact.single


def test_the_same_statement_has_the_same_id_whoever_says_it() -> None:
    (one,) = draft_facts("The Cache runs on port 6379.", "", 1)
    (other,) = draft_facts("", "the cache listens on port `6379`", 2)
    assert one.id == other.id


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("The cache of Berlin runs on port 6379.", "6379"),
        ("It runs on 6380.", "6380"),
        ("It runs on 63.", "63"),
        ("It runs.", "Redis"),
    ],
)
def test_a_name_or_number_that_the_source_does_not_have_is_no_fact(text: str, value: str) -> None:
    draft = Draft(text=text, subject="cache", topic="port", value=value, words="")
    assert not is_grounded(draft, "The cache runs on port 6379.")


@given(st.text(max_size=300))
def test_any_text_can_be_read(text: str) -> None:
    for fact in draft_facts(text, text, None):
        assert fact.value.casefold() in text.casefold() or fact.value
        assert is_grounded(fact, fact.words)
