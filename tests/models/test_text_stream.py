"""Text as it streams: the same whatever the pieces are, and nothing of a stop string passed on."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from remanence.models.text_stream import TextStream, legal

FEW_LETTERS = st.text("ab é😀", max_size=30)
STOPS = st.lists(st.text("ab é", min_size=1, max_size=4), max_size=3)


def passed(pieces: Sequence[bytes], stop: Sequence[str] = ()) -> tuple[list[str], bool]:
    """What the stream passes on for these pieces, and whether it stopped."""
    stream = TextStream(stop)
    said: list[str] = []
    for piece in pieces:
        said.append(stream.feed(piece))
        if stream.stopped:
            break
    return [*said, stream.rest()], stream.stopped


def cut(data: bytes, places: list[int]) -> list[bytes]:
    ends = sorted({place % (len(data) + 1) for place in places} | {0, len(data)})
    return [data[start:end] for start, end in pairwise(ends)]


@settings(deadline=None)
@given(FEW_LETTERS, STOPS, st.lists(st.integers(0, 200)))
def test_the_text_is_the_same_wherever_it_is_cut(text: str, stop: list[str], places: list[int]) -> None:
    whole, stopped = passed([text.encode()], stop)
    pieces, stopped_too = passed(cut(text.encode(), places), stop)
    assert ("".join(pieces), stopped_too) == ("".join(whole), stopped)


@settings(deadline=None)
@given(FEW_LETTERS, STOPS, st.lists(st.integers(0, 200)))
def test_it_ends_before_the_first_stop_string_that_is_whole(
    text: str, stop: list[str], places: list[int]
) -> None:
    said = "".join(passed(cut(text.encode(), places), stop)[0])
    ends = [(text.index(each) + len(each), text.index(each)) for each in stop if each in text]
    assert said == (text[: min(ends)[1]] if ends else text)


@settings(deadline=None)
@given(st.binary(max_size=40), st.lists(st.integers(0, 200)))
def test_any_bytes_become_text_and_each_piece_is_legal(data: bytes, places: list[int]) -> None:
    pieces, _ = passed(cut(data, places))
    assert "".join(pieces) == data.decode(errors="replace")
    assert all(piece.encode() is not None for piece in pieces)


def test_a_character_is_passed_on_when_its_last_byte_is_there() -> None:
    stream = TextStream()
    assert [stream.feed(bytes([byte])) for byte in "é😀".encode()] == ["", "é", "", "", "", "😀"]


def test_only_what_could_begin_a_stop_string_is_held_back() -> None:
    stream = TextStream(["</answer>"])
    assert stream.feed(b"one <") == "one "
    assert stream.feed(b"b> two") == "<b> two"
    assert stream.feed(b"</ans") == ""
    assert stream.rest() == "</ans"


def test_damaged_bytes_can_be_left_out() -> None:
    stream = TextStream(damaged="ignore")
    assert stream.feed(b'"a\xe0\x80\x80b"') + stream.rest() == '"ab"'


@settings(deadline=None)
@given(st.text(st.characters(), max_size=30))
def test_legal_text_differs_in_surrogates_and_nuls_alone(text: str) -> None:
    found = legal(text)
    assert "\0" not in found
    found.encode()
    assert found.replace("\ufffd", "") == "".join(
        letter for letter in text if letter not in "\0\ufffd" and not "\ud800" <= letter <= "\udfff"
    )
