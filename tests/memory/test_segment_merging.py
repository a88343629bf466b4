"""Segments made few: searches see the same, and nothing that helped to merge them is left to be found."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import tantivy
from hypothesis import given
from hypothesis import strategies as st
from lexical_samples import row

from remanence.memory import segment_merging
from remanence.memory.backlog import LexicalRow
from remanence.memory.lexical import LexicalIndex
from remanence.memory.lexical_schema import document, empty_document, open_tantivy
from remanence.memory.segment_merging import lacking, sizes


def alpha(number: int) -> LexicalRow:
    return row(number, f"alpha number{number}", "beta gamma")


def in_segments(folder: Path, count: int) -> LexicalIndex:
    """An index with so many segments of ten rows."""
    index = LexicalIndex.open(folder)
    for number in range(count):
        index.add([alpha(number * 10 + i) for i in range(10)])
        index.commit(number + 1)
    return index


def found(index: LexicalIndex, query: str) -> list[int]:
    return sorted(index.search(query, 1000)[0].tolist())


def continued(index: LexicalIndex, typed: str) -> list[int]:
    return sorted(index.continue_prompt(typed, 1000).tolist())


def test_segments_are_merged_at_rest_and_searches_find_the_same(tmp_path: Path) -> None:
    index = in_segments(tmp_path, 6)
    index.remove([7])
    index.commit(7)
    before = found(index, "alpha"), found(index, "number42"), continued(index, "alpha num")
    assert len(sizes(tmp_path / "segments")) == 6
    index.rest()
    assert sizes(tmp_path / "segments") == [59]
    assert len(index) == 59
    after = found(index, "alpha"), found(index, "number42"), continued(index, "alpha num")
    assert after == before
    again = LexicalIndex.open(tmp_path)
    assert (again.note, again.revision, len(again)) == (None, 7, 59)


def test_what_is_captured_after_the_merge_is_found(tmp_path: Path) -> None:
    index = in_segments(tmp_path, 6)
    index.rest()
    assert sizes(tmp_path / "segments") == [60]
    index.add([alpha(100)])
    index.commit(8)
    assert found(index, "number100") == [100]
    assert len(index) == 61


def test_few_segments_are_left_as_they_are(tmp_path: Path) -> None:
    index = in_segments(tmp_path, 4)
    written = (tmp_path / "segments" / "meta.json").read_bytes()
    index.rest()
    index.rest()
    assert (tmp_path / "segments" / "meta.json").read_bytes() == written


def test_what_was_not_committed_is_not_committed_by_a_rest(tmp_path: Path) -> None:
    index = in_segments(tmp_path, 6)
    index.add([alpha(100)])
    index.rest()
    assert found(index, "number100") == []
    assert len(index) == 60


def test_a_merge_that_does_not_come_is_not_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(segment_merging, "_MERGED", 6)  # Tantivy still wants eight
    index = in_segments(tmp_path, 5)
    index.rest()
    assert sizes(tmp_path / "segments") == [10] * 5
    written = (tmp_path / "segments" / "meta.json").read_bytes()
    index.rest()
    assert (tmp_path / "segments" / "meta.json").read_bytes() == written
    assert len(index) == 50


def test_empty_documents_that_a_crash_left_are_gone_when_the_index_is_opened(tmp_path: Path) -> None:
    in_segments(tmp_path, 3).close()
    writer = open_tantivy(tmp_path / "segments").writer(heap_size=20_000_000, num_threads=1)
    for _ in range(50):
        writer.add_document(empty_document())
    writer.commit()
    writer.wait_merging_threads()
    index = LexicalIndex.open(tmp_path)
    assert (index.note, index.revision, len(index)) == (None, 3, 30)
    assert sum(sizes(tmp_path / "segments")) == 30


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX limits")
def test_a_full_disk_stops_the_merge_and_loses_nothing(tmp_path: Path) -> None:
    in_segments(tmp_path, 6).close()
    ends = subprocess.run([sys.executable, "-c", _FULL, str(tmp_path)], capture_output=True, text=True)
    assert ends.stdout.split() == ["IndexWriteError", "60"], ends.stderr
    index = LexicalIndex.open(tmp_path)
    assert (index.note, len(index)) == (None, 60)
    assert found(index, "alpha") == list(range(60))


_FULL = """
import resource, signal, sys
from pathlib import Path
from remanence.memory.index_files import IndexWriteError
from remanence.memory.lexical import LexicalIndex
index = LexicalIndex.open(Path(sys.argv[1]))
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (64, 64))
try:
    index.rest()
except IndexWriteError as error:
    print(type(error).__name__)
print(len(index.search("alpha", 1000)[0]))
"""


def test_large_segments_are_merged_with_as_few_empty_documents_as_it_takes(tmp_path: Path) -> None:
    """Tantivy itself, whose rule is spelled out anew here: were it another, nothing would be merged."""
    segments = tmp_path / "segments"
    segments.mkdir()
    writer = open_tantivy(segments).writer(heap_size=20_000_000, num_threads=1)
    nobody = document(alpha(0), [], [])
    for _ in range(7):
        for _ in range(18_000):
            writer.add_document(nobody)
        writer.commit()
    (count,) = lacking(sizes(segments))
    assert 10_000 < count < 12_000
    for _ in range(count):
        writer.add_document(empty_document())
    writer.commit()
    writer.wait_merging_threads()
    assert sizes(segments) == [7 * 18_000 + count]


def test_one_document_less_would_not_do(tmp_path: Path) -> None:
    large = [18_000] * 7
    (count,) = lacking(large)
    assert len(segment_merging._merged([*large, count])) == 1
    assert len(segment_merging._merged([*large, count - 2])) == 8


@given(st.lists(st.integers(1, 3_000_000), max_size=24))
def test_what_is_added_makes_fewer_segments_and_is_little(count: list[int]) -> None:
    added = lacking(count)
    if added:
        after = segment_merging._merged([*count, *added])
        assert len(after) <= len(count) / 2
        assert sum(after) == sum(count) + sum(added)
        assert sum(added) <= segment_merging._MOST_EMPTY * sum(count)
        assert len(count) > segment_merging._FEW


@given(st.lists(st.integers(1, 9_000), min_size=5, max_size=7).filter(lambda each: sum(each) > 100))
def test_small_segments_take_one_document_for_each_that_is_missing(count: list[int]) -> None:
    assert lacking(count) == (1,) * (8 - len(count))


def test_a_damaged_list_of_segments_is_an_error_in_words(tmp_path: Path) -> None:
    for damage in ("{}", '{"segments": [{}]}', "[", '{"segments": 3}'):
        (tmp_path / "meta.json").write_text(damage)
        with pytest.raises(ValueError, match=r"damaged|Expecting"):
            sizes(tmp_path)
    listed = {"segment_id": "a-b", "max_doc": 5, "deletes": None}
    (tmp_path / "meta.json").write_text(json.dumps({"segments": [listed]}))
    assert sizes(tmp_path) == [5]


def test_tantivy_cannot_be_asked_for_a_merge() -> None:
    """Once it can, all of this goes."""
    assert not any("merge" in name and name != "wait_merging_threads" for name in dir(tantivy.IndexWriter))


def test_a_level_whose_merge_was_broken_off_takes_any_commit() -> None:
    assert lacking([127_000] * 8) == (1,)
    assert lacking([10] * 9 + [127_000]) == (1,)
