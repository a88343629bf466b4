"""What a hover is about."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remanence.lsp.under_cursor import Kind, Subject, subject_at


def at(text: str, language_id: str = "python") -> Subject | None:
    """The subject where `|` stands."""
    lines = text.splitlines(keepends=True)
    line = next(index for index, said in enumerate(lines) if "|" in said)
    column = lines[line].index("|")
    lines[line] = lines[line].replace("|", "", 1)
    return subject_at(lines, line, column, language_id)


def test_an_identifier_is_asked_with_its_line() -> None:
    subject = at("x = parse|HTTPDate_utc + 1")
    assert subject == Subject(
        Kind.IDENTIFIER, 4, 21, "parseHTTPDate_utc\nx = parseHTTPDate_utc + 1", "parseHTTPDate_utc"
    )


def test_an_identifier_is_asked_with_what_it_is_nested_in() -> None:
    subject = at("def refresh(key):\n    # one caller alone\n    taken = lo|ck(key)\n    return taken\n")
    assert subject is not None
    assert subject.query == "lock\ntaken = lock(key)\none caller alone\ndef refresh(key):"


def test_a_definition_is_asked_with_its_first_lines() -> None:
    subject = at("def back|off(attempt):\n    ceiling = 2 ** attempt\n    return uniform(0, ceiling)\n")
    assert subject is not None
    assert subject.query.splitlines()[1:] == [
        "def backoff(attempt):",
        "ceiling = 2 ** attempt",
        "return uniform(0, ceiling)",
    ]


def test_a_constant_is_asked_with_a_line_that_uses_it() -> None:
    subject = at("LEA|SE = 120\n\n\nasync def work():\n    await take(lease=LEASE)\n")
    assert subject is not None
    assert subject.query == "LEASE\nLEASE = 120\nawait take(lease=LEASE)"


@pytest.mark.parametrize(
    ("text", "language", "symbol"),
    [
        ('headers = {"Idempotency-K|ey": key}', "python", "Idempotency-Key"),
        ("  cache-depend|ency-glob: uv.lock", "yaml", "cache-dependency-glob"),
        ("width = total-mar|gin", "python", "margin"),
    ],
)
def test_a_hyphen_is_part_of_a_name_in_strings_and_in_configuration(
    text: str, language: str, symbol: str
) -> None:
    subject = at(text, language)
    assert subject is not None
    assert subject.symbol == symbol


def test_the_end_of_an_identifier_belongs_to_it() -> None:
    subject = at("total_amount|)")
    assert subject is not None
    assert subject.symbol == "total_amount"


def test_a_call_is_asked_with_its_qualified_name_and_its_line() -> None:
    subject = at("    df = frame.group|by('user_id').agg(sum)")
    assert subject is not None
    assert (subject.kind, subject.symbol) == (Kind.CALL, "frame.groupby")
    assert subject.query.endswith("df = frame.groupby('user_id').agg(sum)")
    assert (subject.start, subject.end) == (15, 22)


@pytest.mark.parametrize(
    ("text", "language", "symbol"),
    [
        ("from sqlalchemy.orm import Ses|sion", "python", "Session"),
        ("import nu|mpy as np", "python", "numpy"),
        ('import { useState } from "rea|ct";', "typescript", "react"),
        ('const fs = require("node:f|s");', "javascript", "node:fs"),
        ("use tokio::sy|nc::mpsc;", "rust", "tokio::sync::mpsc"),
        ("#include <boost/as|io.hpp>", "cpp", "boost/asio.hpp"),
    ],
)
def test_an_import_is_asked_by_what_is_imported(text: str, language: str, symbol: str) -> None:
    subject = at(text, language)
    assert subject is not None
    assert (subject.kind, subject.symbol) == (Kind.IMPORT, symbol)


def test_an_error_message_in_code_is_asked_as_text() -> None:
    subject = at('raise ValueError("could not con|vert string to float")')
    assert subject is not None
    assert (subject.kind, subject.symbol) == (Kind.ERROR, "ValueError")
    assert subject.query == "ValueError: could not convert string to float"


def test_an_import_is_asked_with_a_line_that_uses_it() -> None:
    subject = at("import hm|ac\n\ndigest = hmac.new(key, body)\n")
    assert subject is not None
    assert subject.query == "hmac\nimport hmac\ndigest = hmac.new(key, body)"


def test_an_error_in_a_log_is_its_line() -> None:
    subject = at("  sqlite3.OperationalError: database is lo|cked\n", "log")
    assert subject is not None
    assert (subject.kind, subject.symbol) == (Kind.ERROR, "OperationalError")
    assert subject.query == "sqlite3.OperationalError: database is locked"


@pytest.mark.parametrize(
    ("text", "kind", "query"),
    [
        ("2026-11-02T08:06:02Z ERROR web conn|ect ECONNREFUSED", Kind.ERROR, "web connect ECONNREFUSED"),
        ("[08:06:02.113] WARN: the po|ol is empty", Kind.ERROR, "the pool is empty"),
        ("2026-11-02 08:06:02,113 INFO 212 remin|ders sent", Kind.PROSE, "212 reminders sent"),
        (
            "a.ts:4:1 - error TS2345: Arg|ument of type",
            Kind.ERROR,
            "a.ts:4:1 - error TS2345: Argument of type",
        ),
    ],
)
def test_the_time_and_the_level_of_a_log_line_are_not_asked_about(text: str, kind: Kind, query: str) -> None:
    subject = at(text, "log")
    assert subject is not None
    assert (subject.kind, subject.query) == (kind, query)


def test_a_comment_is_asked_as_a_whole_with_the_code_below_it() -> None:
    subject = at("x = 1\n# retry with back|off, because the\n# upstream closes idle sockets\ny = 2\n")
    assert subject is not None
    assert subject.kind is Kind.COMMENT
    assert subject.query == "retry with backoff, because the upstream closes idle sockets\ny = 2"


def test_a_comment_beside_code_is_asked_with_that_code() -> None:
    subject = at("done := make(chan result, 1) // room for o|ne\n", "go")
    assert subject is not None
    assert subject.query == "room for one\ndone := make(chan result, 1)"


def test_a_docstring_is_a_comment_on_its_definition() -> None:
    subject = at('def charge(card):\n    """Charge a card once,\n    how|ever often it is asked."""\n')
    assert subject is not None
    assert subject.kind is Kind.COMMENT
    assert subject.query == "Charge a card once, however often it is asked.\ndef charge(card):"


def test_an_opener_inside_a_string_is_no_comment() -> None:
    subject = at('color = "#fff" + theme_col|or')
    assert subject is not None
    assert subject.kind is Kind.IDENTIFIER


@pytest.mark.parametrize(
    "text",
    ["a  |  + b", "ret|urn", "x = {|}", "n = 12|34", "|", "fo|r (;;)", "# -----|-----", "x|", "print( | )"],
)
def test_space_punctuation_numbers_and_keywords_are_nothing(text: str) -> None:
    assert at(text) is None


def test_prose_is_asked_with_its_line_and_names_code_in_it() -> None:
    subject = at("- The retry_poli|cy doubles its delay", "markdown")
    assert subject is not None
    assert subject == Subject(Kind.PROSE, 6, 18, "The retry_policy doubles its delay", "retry_policy")


def test_prose_is_asked_with_its_paragraph_and_its_heading() -> None:
    subject = at("# Outages\n\nThe provider was\ndown for an ho|ur.\n\nLunch is at one.\n", "markdown")
    assert subject is not None
    assert subject.query == "down for an hour.\nThe provider was\nOutages"


def test_a_position_outside_of_the_document_is_nothing() -> None:
    assert subject_at([], 0, 0, "python") is None
    assert subject_at(["x = 1"], 5, 0, "python") is None


def test_a_minified_line_is_nothing() -> None:
    assert subject_at(["total = 1; " * 1000], 0, 2, "javascript") is None


@given(
    st.lists(st.text(max_size=60), max_size=5),
    st.integers(0, 6),
    st.integers(0, 70),
    st.sampled_from(["python", "markdown", "typescript", "log", "yaml", "", "lua"]),
)
def test_whatever_is_there_the_range_lies_in_its_line(
    lines: list[str], line: int, column: int, language: str
) -> None:
    subject = subject_at(lines, line, column, language)
    if subject is not None:
        assert 0 <= subject.start < subject.end <= len(lines[line])
        assert subject.query.strip()
