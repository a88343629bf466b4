"""Lines and columns as the client counts them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lsprotocol import types

from remanence.lsp.documents import Document
from remanence.lsp.position import client_range, column, split_lines, units

ENCODINGS = [
    types.PositionEncodingKind.Utf8,
    types.PositionEncodingKind.Utf16,
    types.PositionEncodingKind.Utf32,
]
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


@pytest.mark.parametrize(("encoding", "character"), [("utf-8", 11), ("utf-16", 9), ("utf-32", 8)])
def test_an_emoji_before_the_cursor_counts_as_the_encoding_counts_it(encoding: str, character: int) -> None:
    line = 'x = "😋"; total = 1\n'
    assert column(line, character, encoding) == 8
    assert client_range([line], (0, 8), (0, 8), encoding).start.character == character


@given(TEXT.filter(lambda text: not set(text) & {"\r", "\n"}), st.data(), st.sampled_from(ENCODINGS))
def test_a_column_survives_the_way_to_the_client_and_back(
    line: str, data: st.DataObject, encoding: types.PositionEncodingKind
) -> None:
    at = data.draw(st.integers(0, len(line)))
    assert column(line, units(line[:at], encoding), encoding) == at


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_position_past_the_end_of_the_line_is_its_end(encoding: types.PositionEncodingKind) -> None:
    assert column("naïve\r\n", 99, encoding) == 5


def test_a_position_inside_a_surrogate_pair_is_the_start_of_its_character() -> None:
    assert column("a😋b", 2, types.PositionEncodingKind.Utf16) == 1


@given(st.text(st.sampled_from("ab\r\n\x0b\x0c\x1c\x85\u2028\u2029"), max_size=30))
def test_only_lf_crlf_and_cr_end_a_line(text: str) -> None:
    lines = split_lines(text)
    assert "".join(lines) == text
    ends = text.count("\n") + text.count("\r") - text.count("\r\n")
    assert len(lines) == ends + bool(text and text[-1] not in "\r\n")


def test_a_documents_lines_are_split_once_and_anew_after_each_edit() -> None:
    document = Document("untitled:1", source="one\ntwo\n", sync_kind=types.TextDocumentSyncKind.Incremental)
    lines = document.lines
    assert document.lines is lines
    start = types.Position(1, 0)
    edit = types.TextDocumentContentChangePartial(range=types.Range(start, start), text="and a half\n")
    document.apply_change(edit)
    assert list(document.lines) == ["one\n", "and a half\n", "two\n"]
