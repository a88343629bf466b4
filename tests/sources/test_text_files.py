from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from remanence.sources import text_files
from remanence.sources.source import Failure
from remanence.sources.text_files import Line, lines, records, whole


@pytest.mark.parametrize(
    "content",
    [
        "é\u2028x\ny\n".encode(),
        b"\xef\xbb\xbf" + "é\u2028x\r\ny\n".encode(),
        "é\u2028x\ny\n".encode("utf-16"),
        "\x00é\u2028x\ny\x00\n".encode(),
        gzip.compress("é\u2028x\ny\n".encode()),
    ],
    ids=["utf-8", "marked", "utf-16", "nul", "gzip"],
)
def test_text_is_read_however_it_was_written(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x"
    path.write_bytes(content)

    assert list(lines(path)) == [Line(1, "é\u2028x", True), Line(2, "y", True)]


def test_a_line_that_is_too_long_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_files, "LONGEST", 2**20)
    path = tmp_path / "x"
    path.write_text("a\n" + "b" * (3 * 2**20) + "\nc\n")

    assert list(lines(path)) == [
        Line(1, "a", True),
        Failure("line 2", "It is longer than 1 million characters."),
        Line(3, "c", True),
    ]
    assert whole(path) == Failure("the file", "It is longer than 1 million characters.")


def test_a_missing_or_damaged_file_is_a_failure_without_its_path(tmp_path: Path) -> None:
    assert list(lines(tmp_path / "gone")) == [
        Failure("the file", "The file cannot be read: No such file or directory.", passing=True)
    ]
    packed = tmp_path / "x.gz"
    packed.write_bytes(gzip.compress(b"a\n" * 100_000)[:-20])
    assert isinstance(list(lines(packed))[-1], Failure)


def test_nesting_without_end_is_not_json(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text("[" * 200_000 + "\n" + '{"a":1}\n')

    first, second = records(path)

    assert first == Failure("line 1", "It is not JSON.")
    assert isinstance(second, text_files.Record)
    assert second.fields == {"a": 1}


def test_a_last_line_without_its_end_counts_only_when_complete(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text('{"a":1}\n{"b":2}')
    assert len(list(records(path))) == 2
    path.write_text('{"a":1}\n{"b":')
    assert len(list(records(path))) == 1
