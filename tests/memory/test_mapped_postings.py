"""Postings given back while searches go on: they come again, and nothing goes of which it is not sure."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

import pytest
from lexical_samples import row

from remanence.memory.lexical import LexicalIndex

seen = pytest.mark.skipif(sys.platform != "linux", reason="only there can a process see its pages")


def filled(folder: Path, *questions: str) -> LexicalIndex:
    """Rows numbered from 0."""
    index = LexicalIndex.open(folder)
    index.add([row(number, question) for number, question in enumerate(questions)])
    index.commit(1)
    return index


def found(index: LexicalIndex, query: str, limit: int = 10) -> list[int]:
    return index.search(query, limit)[0].tolist()


def mapped(folder: Path, *kinds: str) -> int:
    """Kilobytes of the files in this folder, of these kinds, that count as this process's memory."""
    own = False
    total = 0
    for line in Path("/proc/self/smaps").read_text().splitlines():
        if "-" in line.split(" ")[0]:
            own = str(folder) in line and line.endswith(kinds or "")
        elif own and line.startswith("Rss:"):
            total += int(line.split()[1])
    return total


def searched(folder: Path) -> LexicalIndex:
    """An index much of which searches have touched."""
    index = filled(folder, *(" ".join(f"w{n * k % 997}" for k in range(300)) for n in range(2000)))
    index.close()
    for n in range(997):
        found(index, f"w{n}")
    return index


@seen
def test_postings_given_back_come_again_and_the_terms_stay(tmp_path: Path) -> None:
    index = searched(tmp_path)
    postings, terms = mapped(tmp_path, ".idx", ".pos"), mapped(tmp_path, ".term")
    first = [found(index, f"w{n}") for n in range(40)]
    index.give_back_postings()
    assert mapped(tmp_path, ".idx", ".pos") < postings / 2
    assert mapped(tmp_path, ".term") >= terms > 0
    assert [found(index, f"w{n}") for n in range(40)] == first
    index.give_back_postings()  # the second time it knows where they are
    assert mapped(tmp_path, ".idx", ".pos") < postings / 2


@seen
def test_postings_of_which_it_is_not_sure_are_not_given_back(tmp_path: Path) -> None:
    searched(tmp_path)
    index = LexicalIndex.open(tmp_path)  # nobody looked what was committed before it was opened
    assert found(index, "w7")
    before = mapped(tmp_path, ".idx", ".pos")
    index.give_back_postings()
    assert mapped(tmp_path, ".idx", ".pos") == before > 0


@seen
def test_postings_that_are_mapped_twice_are_left(tmp_path: Path) -> None:
    index = searched(tmp_path)
    other = LexicalIndex.open(tmp_path)
    assert found(other, "w7") == found(index, "w7")
    before = mapped(tmp_path, ".idx", ".pos")
    index.give_back_postings()
    assert mapped(tmp_path, ".idx", ".pos") == before


def test_postings_are_given_back_while_merges_take_files_away(tmp_path: Path) -> None:
    index = LexicalIndex.open(tmp_path)
    over = threading.Event()

    def give_back() -> None:
        while not over.is_set():
            index.give_back_postings()

    giving_back = threading.Thread(target=give_back)
    giving_back.start()
    try:
        for n in range(60):  # eight small segments are merged into one
            index.add([row(n, f"alpha number{n}")])
            index.commit(n + 1)
            assert sorted(found(index, "alpha", 100)) == list(range(n + 1))
    finally:
        over.set()
        giving_back.join()
    index.close()
