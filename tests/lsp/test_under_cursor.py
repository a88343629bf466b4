"""What a hover is about."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remanence.lsp.under_cursor import Kind, Subject, subject_at, words_of


def at(text: str, language_id: str = "python") -> Subject | None:
    """The subject where `|` stands."""
    lines = text.splitlines(keepends=True)
    line = next(index for index, said in enumerate(lines) if "|" in said)
    column = lines[line].index("|")
    lines[line] = lines[line].replace("|", "", 1)
    return subject_at(lines, line, column, language_id)


def test_an_identifier_is_asked_by_name_and_by_words() -> None:
    subject = at("x = parse|HTTPDate_utc + 1")
    assert subject == Subject(
        Kind.IDENTIFIER, 4, 21, "parseHTTPDate_utc parse http date utc", "parseHTTPDate_utc"
    )


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


def test_an_error_in_a_log_is_its_line() -> None:
    subject = at("  sqlite3.OperationalError: database is lo|cked\n", "log")
    assert subject is not None
    assert (subject.kind, subject.symbol) == (Kind.ERROR, "OperationalError")
    assert subject.query == "sqlite3.OperationalError: database is locked"


def test_a_comment_is_asked_with_the_comment_lines_around_it() -> None:
    subject = at("x = 1\n# retry with back|off, because the\n# upstream closes idle sockets\ny = 2\n")
    assert subject is not None
    assert subject.kind is Kind.COMMENT
    assert subject.query == "retry with backoff, because the upstream closes idle sockets"


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


def test_a_position_outside_of_the_document_is_nothing() -> None:
    assert subject_at([], 0, 0, "python") is None
    assert subject_at(["x = 1"], 5, 0, "python") is None


@pytest.mark.parametrize(
    ("name", "words"),
    [("getHTTPResponse", "get http response"), ("snake_case_2", "snake case 2"), ("größeMax", "größe max")],
)
def test_names_are_split_at_humps_and_underscores(name: str, words: str) -> None:
    assert words_of(name) == words


@given(
    st.lists(st.text(max_size=60), max_size=5),
    st.integers(0, 6),
    st.integers(0, 70),
    st.sampled_from(["python", "markdown", "typescript", "log", "", "lua"]),
)
def test_whatever_is_there_the_range_lies_in_its_line(
    lines: list[str], line: int, column: int, language: str
) -> None:
    subject = subject_at(lines, line, column, language)
    if subject is not None:
        assert 0 <= subject.start < subject.end <= len(lines[line])
        assert subject.query.strip()
