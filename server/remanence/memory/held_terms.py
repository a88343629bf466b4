"""Which terms each row holds and how often: the lexical index turned round, for a few hundred rows at once.

To ask Tantivy what a query's words say about given rows takes it some twenty microseconds a row, in every
segment; to read what those rows hold, one. So each row's distinct terms are written down one after another:
a hash, how often the text has the term and how often the question has. The file only grows;
a log says which row was written in which order, 0 words for one removed. Both belong to the lexical index
and are as disposable. What its state does not count was written before a crash and is ignored; when less
than half of it is of any use, the rest goes on in new files.
"""

from __future__ import annotations

import contextlib
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from remanence.memory.index_files import IndexReadError, open_private
from remanence.memory.vector_file import RowFile, unused_name

Rowids = NDArray[np.int64]
Floats = NDArray[np.float32]
Words = NDArray[np.uint32]

_HEADER = 3  # words before the terms: the row, how many terms its text has and how many its question
_MOST_WORDS = (1 << 20) - 1  # of one row
_COUNT_BITS = 20
_HASH_BITS = 25  # of two terms in 33 million one is taken for the other: a row in a hundred recalls
# What the bits for "how often" stand for, four for the text and three for the question: BM25 hardly tells
# more apart.
_IN_TEXT = np.array([1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 15, 20, 30, 50, 80, 150])
_IN_QUESTION = np.array([0, 1, 2, 3, 4, 5, 7, 12])
_TAG_BITS = 7
_K1, _B = 1.2, 0.75  # as Tantivy has them
_TOLD_BY = 14  # bits of a hash
_SLACK = 1 << 20  # words: a smaller file is not worth tidying
_AT_ONCE = 1 << 16  # rows copied together


class _Hashes(dict[str, int]):
    """The hash of each term asked for; those of the last ones are remembered."""

    def __missing__(self, term: str) -> int:
        if len(self) >= 50_000:
            self.clear()
        found = zlib.crc32(term.encode("utf-8", "replace")) >> (32 - _HASH_BITS)
        self[term] = found
        return found


_HASHES = _Hashes()


@dataclass(frozen=True, slots=True)
class HeldState:
    """What of the files counts: their names, how many entries of the log and their CRC-32; and how many
    terms texts and questions had in all the rows that were ever written to them."""

    words: str
    log: str
    entries: int
    crc: int
    rows: int
    in_texts: int
    in_questions: int


@dataclass(frozen=True, slots=True)
class TermsAsked:
    """A query's t terms and what BM25 gives for each in a text and in a question: its idf, float32 (t,)."""

    terms: tuple[str, ...]
    body_idf: Floats
    question_idf: Floats


class HeldTerms:
    """The terms of the rows of one lexical index. One writer; reading goes on beside it in any thread."""

    def __init__(self, folder: Path, state: HeldState | None = None) -> None:
        """Empty and in new files, or as `state` left them: raises ValueError or OSError where the files are
        not what it says."""
        self._folder = folder
        self._waiting: list[tuple[int, Words]] = []
        # Of each row the first of its words and, in the low bits, how many: in one number, so that nobody
        # reads half a change. 0 for one that is not there.
        self._places: Rowids = np.zeros(0, dtype=np.int64)
        self._end = 0
        self._live = 0
        if state is None:
            words, log = (unused_name(folder, kind, "bin") for kind in ("held", "held-log"))
            for path in (words, log):
                open(path, "xb", opener=open_private).close()
            state = HeldState(words.name, log.name, 0, 0, 0, 0, 0)
        self._state = state
        self._words = RowFile(folder / state.words, 4)
        self._log = RowFile(folder / state.log, 8)
        self._view = (self._words, self._places)
        if state.entries:
            self._restore()

    def _restore(self) -> None:
        read = self._log.read_bytes(np.array([0]), np.array([self._state.entries]))
        if zlib.crc32(read) != self._state.crc:
            raise ValueError("the log of terms is damaged")
        rows, counts = np.frombuffer(read, dtype=np.uint32).astype(np.int64).reshape(-1, 2).T
        self._put(rows, counts)
        if self._end * 4 > self._words.nbytes:
            raise ValueError("the file of terms is too short")

    @property
    def state(self) -> HeldState:
        """What of the files counts since the last commit."""
        return self._state

    @property
    def nbytes(self) -> int:
        """Bytes on disk."""
        return self._words.nbytes + self._log.nbytes

    def add(self, row: int, body: Sequence[str], question: Sequence[str]) -> None:
        """Add or replace a row: the terms of all its text and those of its question among them. Seen after
        `commit`."""
        text, asked = Counter(body), Counter(question)
        held = list(text)[: _MOST_WORDS - _HEADER]
        words = np.empty(_HEADER + len(held), dtype=np.uint32)
        words[:_HEADER] = row, len(body), len(question)
        often = np.fromiter(map(text.__getitem__, held), dtype=np.int64, count=len(held))
        in_question = np.fromiter(map(asked.__getitem__, held), dtype=np.int64, count=len(held))
        hashes = np.fromiter(map(_HASHES.__getitem__, held), dtype=np.uint32, count=len(held))
        codes = _code(_IN_TEXT, often) << 3 | _code(_IN_QUESTION, in_question)
        words[_HEADER:] = hashes << _TAG_BITS | codes.astype(np.uint32)
        self._waiting.append((row, words))

    def remove(self, row: int) -> None:
        """Remove a row, after `commit`; one that is not there is no error."""
        self._waiting.append((row, np.empty(0, dtype=np.uint32)))

    def forget_waiting(self) -> None:
        """What was added and removed since the last commit is given again."""
        self._waiting.clear()

    def commit(self) -> None:
        """Make everything added and removed durable and visible; `state` then counts it. Raises OSError: what
        counted before still does."""
        if self._end > 2 * self._live + _SLACK:
            self._tidy()
        if self._waiting:
            rows = np.array([row for row, _ in self._waiting], dtype=np.int64)
            counts = np.array([len(words) for _, words in self._waiting], dtype=np.int64)
            self._write(rows, counts, np.concatenate([words for _, words in self._waiting]))
            self._waiting.clear()

    def _write(self, rows: Rowids, counts: Rowids, words: Words) -> None:
        """Append rows to both files, and only then let them be seen."""
        state = self._state
        entries = np.stack([rows, counts], axis=1).astype(np.uint32).tobytes()
        self._words.write_bytes(self._end, words.tobytes())
        self._words.sync()
        self._log.write_bytes(state.entries, entries)
        self._log.sync()
        self._put(rows, counts)
        heads = (np.cumsum(counts) - counts)[counts > 0]
        self._state = replace(
            state,
            entries=state.entries + len(rows),
            crc=zlib.crc32(entries, state.crc),
            rows=state.rows + len(heads),
            in_texts=state.in_texts + int(words[heads + 1].sum()),
            in_questions=state.in_questions + int(words[heads + 2].sum()),
        )

    def _put(self, rows: Rowids, counts: Rowids) -> None:
        highest = int(rows.max(initial=-1)) + 1
        places = self._places
        if highest > len(places):
            places = np.zeros(max(highest, len(places) + len(places) // 4, 1024), dtype=np.int64)
            places[: len(self._places)] = self._places
        firsts = self._end + np.cumsum(counts) - counts
        _, last = np.unique(rows[::-1], return_index=True)  # of a row given twice the last counts
        last = len(rows) - 1 - last
        before = places[rows[last]] & _MOST_WORDS
        self._live += int(counts[last].sum() - before.sum())
        self._end += int(counts.sum())
        places[rows[last]] = np.where(counts[last] > 0, firsts[last] << _COUNT_BITS | counts[last], 0)
        self._places = places
        self._view = (self._words, places)

    def _tidy(self) -> None:
        """Go on in new files that hold the rows of now alone."""
        fresh = HeldTerms(self._folder)
        rows = np.flatnonzero(self._places)
        for part in np.split(rows, np.arange(_AT_ONCE, len(rows), _AT_ONCE)):
            places = self._places[part]
            fresh._write(part, places & _MOST_WORDS, _read(self._words, places))
        self._words.close()
        self._log.close()
        self._words, self._log, self._places = fresh._words, fresh._log, fresh._places
        self._end, self._live, self._state = fresh._end, fresh._live, fresh._state
        self._view = (self._words, self._places)

    def remove_strays(self) -> None:
        """Delete the files that no state counts any more. Raises OSError."""
        for path in self._folder.glob("held-*.bin"):
            if path.name not in (self._state.words, self._state.log):
                with contextlib.suppress(PermissionError):  # Windows: still read; the next open deletes it
                    path.unlink()

    def close(self) -> None:
        """Close the files. What was not committed is given again."""
        self._words.close()
        self._log.close()

    def evidence(self, asked: TermsAsked, rowids: Rowids) -> tuple[Floats, Floats, NDArray[np.bool_]]:
        """What the terms say about n rows: BM25 of all their text (n,), BM25 of their question (n,), and
        which each holds (n, t); nothing of a row that is not there. Raises IndexReadError.
        """
        body = np.zeros((len(rowids), len(asked.terms)), dtype=np.float32)
        question = body.copy()
        words, known = self._view
        inside = np.flatnonzero((rowids >= 0) & (rowids < len(known)))
        places = known[rowids[inside]]
        there = np.argsort(places, kind="stable")
        there = there[places[there] > 0]
        if len(there) and asked.terms:
            self._weigh(asked, rowids[inside[there]], places[there], words, inside[there], body, question)
        return body.sum(axis=1), question.sum(axis=1), body > 0

    def _weigh(
        self,
        asked: TermsAsked,
        rowids: Rowids,
        places: Rowids,
        file: RowFile,
        at: Rowids,
        body: Floats,
        question: Floats,
    ) -> None:
        """Write what BM25 gives for each term in each of these rows into `body` and `question`, at `at`."""
        words = _read(file, places)
        counts = places & _MOST_WORDS
        starts = np.cumsum(counts) - counts
        if not np.array_equal(words[starts], rowids):
            raise IndexReadError(f"{file.path.name} is damaged: it holds other rows.")
        hashes = np.array([_HASHES[term] for term in asked.terms], dtype=np.uint32)
        # few words are any of those asked for: most are told by a part of their hash
        wanted = np.zeros(1 << _TOLD_BY, dtype=np.bool_)
        wanted[hashes & ((1 << _TOLD_BY) - 1)] = True
        found = np.flatnonzero(wanted[words >> _TAG_BITS & ((1 << _TOLD_BY) - 1)])
        of_row = np.searchsorted(starts, found, side="right") - 1
        order = np.argsort(hashes, kind="stable")
        theirs = words[found] >> _TAG_BITS
        term = order[np.minimum(np.searchsorted(hashes, theirs, sorter=order), len(order) - 1)]
        real = (hashes[term] == theirs) & (found - starts[of_row] >= _HEADER)
        found, of_row, term = found[real], of_row[real], term[real]
        often = _IN_TEXT[words[found] >> 3 & 15]
        lengths = words[starts + 1], words[starts + 2]
        state = self._state
        usual = max(state.in_texts / state.rows, 1.0), max(state.in_questions / state.rows, 1.0)
        body[at[of_row], term] = asked.body_idf[term] * _bm25(often, (lengths[0] / usual[0])[of_row])
        in_question = _IN_QUESTION[words[found] & 7]
        weight = asked.question_idf[term] * _bm25(in_question, (lengths[1] / usual[1])[of_row])
        question[at[of_row], term] = weight


def _code(often: NDArray[np.int64], counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Which of the numbers in `often` stands for each count (n,): the highest that is not above it."""
    return np.searchsorted(often, counts, side="right") - 1


def _bm25(often: NDArray[np.generic], length: NDArray[np.float64]) -> NDArray[np.float64]:
    """What occurring so often (n,) counts in a text that is `length` (n,) times as long as usual."""
    often = often.astype(np.float64)
    return often * (_K1 + 1) / (often + _K1 * (1 - _B + _B * length))


def _read(file: RowFile, places: Rowids) -> Words:
    """The words at each of these places, one after another; those that lie together are read together."""
    if len(places) == 0:
        return np.empty(0, dtype=np.uint32)
    firsts, counts = places >> _COUNT_BITS, places & _MOST_WORDS
    starts = np.flatnonzero(np.diff(firsts + counts, prepend=-1) != counts)
    ends = np.append(starts[1:], len(firsts)) - 1
    data = file.read_bytes(firsts[starts], firsts[ends] + counts[ends] - firsts[starts])
    return np.frombuffer(data, dtype=np.uint32)
