"""Lexical search: a Tantivy index over what memories say. A cache: the truth is the database.

A memory is one field of all its text (`body`) and its question once more, at .5. Against separate fields
for question and answer, R@10 was higher on seven of eight evaluation lines (conala .736 against .647,
locomo .704 against .680) and lower on one (beam_500k_general .702 against .746, 70 queries).
"""

from __future__ import annotations

import contextlib
import shutil
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tantivy
from numpy.typing import NDArray
from tantivy import Occur, Query

from remanence.memory import terms
from remanence.memory.backlog import LexicalRow
from remanence.memory.held_terms import HeldTerms, TermsAsked
from remanence.memory.index_files import IndexReadError, IndexWriteError
from remanence.memory.lexical_files import is_whole, make_private, marks, size_of
from remanence.memory.lexical_schema import EMPTY, document, empty_document, in_scope, one_of, open_tantivy
from remanence.memory.lexical_state import read_state, write_state
from remanence.memory.mapped_postings import MappedPostings, Segments, committed
from remanence.memory.rows import Scope
from remanence.memory.segment_merging import lacking, sizes
from remanence.memory.term_frequencies import Frequencies, idf_of

Rowids = NDArray[np.int64]
Floats = NDArray[np.float32]

_HEAP_BYTES = 20_000_000  # Tantivy refuses less than 15 MB; a larger one only makes larger first segments
_QUESTION_BOOST = 0.5
_MOST_TERMS = 48  # of a long query the rarest count; more only cost time
_COMMON = 20_000  # rows: a run of words that all are in more of them says little and costs milliseconds
_TOLD_BY = 3  # terms: by fewer too many runs are taken for held at first, and more take as long as all
_FEW_ROWS = 512  # a scope this small is asked for row by row, a larger one filters what is found
_PREFIX_EXPANSIONS = 40
_TYPED_WORDS = 16
_TYPED = 2000  # characters: the end of what was typed


@dataclass(frozen=True, slots=True)
class LexicalQuery:
    """A query's distinct index terms, rarest first, and how much each says: its BM25 idf, float32 (t,), in
    a text and in a question. `known` tells which occur in the index at all.
    """

    terms: tuple[str, ...]
    idf: Floats
    question_idf: Floats
    known: NDArray[np.bool_]

    @classmethod
    def empty(cls) -> LexicalQuery:
        """No term at all."""
        nothing = np.empty(0, dtype=np.float32)
        return cls((), nothing, nothing, np.empty(0, dtype=np.bool_))


class LexicalIndex:
    """The Tantivy index in one folder. One writer at a time; searches run beside it in any thread."""

    def __init__(
        self, folder: Path, index: tantivy.Index, held: HeldTerms, revision: int, note: str | None
    ) -> None:
        """Use `open`."""
        self.revision = revision
        self.note = note
        self._folder = folder
        self._index = index
        self._held = held
        self._see(index, frozenset())
        self._schema = index.schema
        self._writer: tantivy.IndexWriter | None = None
        self._writing = threading.RLock()
        self._in_vain: list[int] | None = None  # sizes of segments that Tantivy did not merge

    @classmethod
    def open(cls, folder: Path) -> LexicalIndex:
        """Open the index in `folder`, made if missing.

        A missing or damaged one, or one of another schema, gives an empty index with revision 0 and
        the reason in `note`. Only files that were touched since they were written are read for that: see
        `lexical_files.is_whole` for the rest. Raises IndexWriteError if the folder cannot be used.
        """
        segments = folder / "segments"
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            revision, held, known, note = read_state(folder)
            if note is None and not is_whole(segments, known):
                note = "the index is damaged"
            if note is None:
                try:
                    index = cls(folder, open_tantivy(segments), HeldTerms(folder, held), revision, None)
                    index._held.remove_strays()
                    if index._run(Query.term_query(index._schema, "row", EMPTY), [], 1)[0].size:
                        index._open_writer()  # a crash came before they were deleted
                        index.commit(revision)
                    return index
                except (ValueError, FileNotFoundError, IndexReadError) as error:
                    note = f"the index is damaged: {error}"
            shutil.rmtree(segments, ignore_errors=True)
            segments.mkdir(mode=0o700)
            index = cls(folder, open_tantivy(segments), HeldTerms(folder), 0, note)
            index._write_state(0)
            index._held.remove_strays()
        except (OSError, ValueError) as error:
            raise IndexWriteError(f"The lexical index cannot be opened: {error}") from error
        return index

    def __len__(self) -> int:
        return self._searcher.num_docs

    @property
    def nbytes(self) -> int:
        """Bytes on disk."""
        return size_of(self._folder / "segments") + self._held.nbytes

    def add(self, rows: Sequence[LexicalRow]) -> None:
        """Add or replace rows; searches see them after `commit`. Raises IndexWriteError."""
        with self._writing:
            try:
                writer = self._open_writer()
                for row in rows:
                    question = terms.stems(row.question)
                    body = question + terms.stems(
                        "\n".join([row.answer, *row.keywords, *row.facts, row.title])
                    )
                    writer.delete_documents_by_term("row", row.row)
                    writer.add_document(document(row, body, question))
                    self._held.add(row.row, body, question)
            except (ValueError, OSError) as error:
                raise self._write_failed(error) from error

    def remove(self, numbers: Sequence[int] | Rowids) -> None:
        """Remove rows, after `commit`; one that is not there is no error. Raises IndexWriteError."""
        with self._writing:
            try:
                for number in numbers:
                    self._open_writer().delete_documents_by_term("row", int(number))
                    self._held.remove(int(number))
            except (ValueError, OSError) as error:
                raise self._write_failed(error) from error

    def commit(self, revision: int) -> None:
        """Make everything added and removed durable and visible, as complete up to `revision`.

        After a crash between the index and its revision, the same rows are given again: adding is
        replacing, so that does no harm. Raises IndexWriteError.
        """
        with self._writing:
            try:
                if self._writer is not None:
                    self._held.commit()
                    self._writer.commit()
                    before = committed(self._folder / "segments")
                    self._index.reload()
                    self._see(self._index, before)
                self._write_state(revision)
                self._held.remove_strays()
                make_private(self._folder / "segments")
            except (ValueError, OSError) as error:
                raise self._write_failed(error) from error
            self.revision = revision

    def rest(self) -> None:
        """Close, as nothing is written for a while; and have Tantivy merge its segments first, where they are
        many and little is missing for that. Writing waits for it (seven seconds at a million exchanges),
        searching does not. Raises IndexWriteError.
        """
        with self._writing:
            self.close()
            try:
                before = sizes(self._folder / "segments")
                added = lacking(before) if before != self._in_vain else ()
                if not added:
                    return
                self._in_vain = before
                writer = self._open_writer()
                for count in added:
                    for _ in range(count):
                        writer.add_document(empty_document())
                    writer.commit()
                writer.wait_merging_threads()
                self._writer = None
                self._open_writer()
                self.commit(self.revision)
                after = sizes(self._folder / "segments")
                self._in_vain = after if len(after) >= len(before) else None
            except (ValueError, OSError) as error:
                raise self._write_failed(error) from error
            self.close()

    def _see(self, index: tantivy.Index, before: Segments) -> None:
        """Search what is committed now; `before` was just before."""
        self._searcher = index.searcher()  # a snapshot, until the next commit; asking for one each time costs
        self._postings = MappedPostings(self._folder / "segments", self._searcher, before)
        self._in_texts = Frequencies(self._searcher, "body")
        self._in_questions = Frequencies(self._searcher, "question")

    def _open_writer(self) -> tantivy.IndexWriter:
        if self._writer is None:
            self._writer = self._index.writer(heap_size=_HEAP_BYTES, num_threads=1)
            self._writer.delete_documents_by_term("row", EMPTY)  # they have done what they were for
        return self._writer

    def _write_failed(self, error: Exception) -> IndexWriteError:
        # a Tantivy writer that met an I/O error is dead; the next write starts a new one
        self._writer = None
        self._held.forget_waiting()
        return IndexWriteError(f"The lexical index cannot be written: {error}")

    def _write_state(self, revision: int) -> None:
        write_state(self._folder, revision, self._held.state, marks(self._folder / "segments"))

    def query(self, text: str) -> LexicalQuery:
        """Any text, prose or code, as weighed terms. Nothing in it is query syntax."""
        stems = terms.query_stems(text)
        in_texts, in_questions = self._in_texts, self._in_questions
        found = np.array([in_texts[stem] for stem in stems], dtype=np.float32)
        count = max(in_texts.searcher.num_docs, 1)
        idf = idf_of(found, count)
        order = np.argsort(-idf, kind="stable")[:_MOST_TERMS]
        chosen = tuple(stems[int(i)] for i in order)
        asked = np.array([in_questions[stem] for stem in chosen], dtype=np.float32)
        return LexicalQuery(chosen, idf[order], idf_of(asked, count), found[order] > 0)

    def search(
        self,
        query: LexicalQuery | str,
        limit: int,
        scope: Scope | None = None,
        among: Rowids | None = None,
    ) -> tuple[Rowids, Floats]:
        """The rows that share terms with the query, and their BM25 scores, best first, at most `limit`.

        Of `scope` the workspace, tool and conversation count here; whatever else restricts the search
        comes as row numbers in `among`. Raises IndexReadError.
        """
        if isinstance(query, str):
            query = self.query(query)
        if not query.known.any() or (among is not None and len(among) == 0):
            return _nothing()
        scoring = self._scoring(query, "body") + self._scoring(query, "question", _QUESTION_BOOST)
        return self._within(Query.boolean_query(scoring), limit, scope, among)

    def in_order(
        self, run: Sequence[str], limit: int, scope: Scope | None = None, among: Rowids | None = None
    ) -> Rowids:
        """The rows that hold these terms one right after the other, at most `limit`; restricted as in
        `search`. None for fewer than two terms, and where each of them is in very many rows.

        Raises IndexReadError.
        """
        found = [self._in_texts[term] for term in run]
        if len(run) < 2 or not 0 < min(found) <= _COMMON:
            return _nothing()[0]
        # of most runs no row holds the rarest terms so: then what "the" and "to" are in need not be read
        rarest = sorted(sorted(range(len(run)), key=found.__getitem__)[:_TOLD_BY])
        few = among is not None and len(among) <= _FEW_ROWS
        if len(run) > _TOLD_BY and max(found) > _COMMON and not few:
            told = self._phrase([(place - rarest[0], run[place]) for place in rarest])
            if len(self._within(told, 1, scope, among)[0]) == 0:
                return _nothing()[0]
        return self._within(self._phrase(list(enumerate(run))), limit, scope, among)[0]

    def may_hold(self, run: Sequence[str], scope: Scope | None = None, among: Rowids | None = None) -> bool:
        """Whether a row may hold these terms one right after the other, restricted as in `search`: it does,
        or each of them is in very many rows. Raises IndexReadError."""
        if min(self._in_texts[term] for term in run) > _COMMON:
            return True
        return len(self.in_order(run, 1, scope, among)) > 0

    def _within(
        self, scoring: Query, limit: int, scope: Scope | None, among: Rowids | None
    ) -> tuple[Rowids, Floats]:
        """What `scoring` finds inside the scope and among these rows, best first."""
        conditions = in_scope(self._schema, scope or Scope())
        if among is not None and len(among) <= _FEW_ROWS:
            conditions.append(one_of(self._schema, among))
            return self._run(scoring, conditions, limit)
        if among is None:
            return self._run(scoring, conditions, limit)
        depth = 4 * limit
        while True:
            rowids, scores = self._run(scoring, conditions, depth)
            inside = np.isin(rowids, among)
            if np.count_nonzero(inside) >= limit or len(rowids) < depth:
                return rowids[inside][:limit], scores[inside][:limit]
            depth *= 4

    def evidence(self, query: LexicalQuery, rowids: Rowids) -> tuple[Floats, Floats, NDArray[np.bool_]]:
        """What the query's words say about these rows: BM25 of all their text (n,), BM25 of their question
        (n,), and which terms each holds (n, t). Raises IndexReadError.
        """
        return self._held.evidence(TermsAsked(query.terms, query.idf, query.question_idf), rowids)

    def continue_prompt(self, text: str, limit: int) -> Rowids:
        """The rows whose question holds every word typed, the last one perhaps unfinished; best first.

        A question that goes on just as the words were typed comes before one that merely holds them.
        Raises IndexReadError.
        """
        typed = terms.words(text[-_TYPED:])[-_TYPED_WORDS:]
        if not typed or limit < 1:
            return _nothing()[0]
        finished = typed if text[-1:].isspace() else typed[:-1]
        parts = [(Occur.Must, self._term("words", word)) for word in dict.fromkeys(finished)]
        if len(finished) < len(typed):
            starts = self._starting_with(typed[-1])
            if not starts:
                return _nothing()[0]
            either = [(Occur.Should, self._term("words", word)) for word in starts]
            parts.append((Occur.Must, Query.boolean_query(either)))
        if len(typed) > 1:
            whole = Query.phrase_prefix_query(self._schema, "words", list[str | tuple[int, str]](typed))
            parts.append((Occur.Should, Query.const_score_query(whole, 100.0)))
        return self._run(Query.boolean_query(parts), [], limit)[0]

    def close(self) -> None:
        """Let the folder go. What was not committed is given again; a merge under way is broken off, and
        begun anew with a later commit or at rest."""
        with self._writing:
            if self._writer is not None:
                self._writer.rollback()
                self._writer.wait_merging_threads()
                self._writer = None
                self._held.forget_waiting()
                with contextlib.suppress(OSError):  # what was merged is then read at the next opening
                    self._write_state(self.revision)
            self._held.forget_waiting()

    def give_back_pages(self) -> None:
        """Open the files anew: what searches have touched of them no longer counts as this process's memory.

        They stay in the system's cache. Nothing happens while something is written. Raises IndexReadError.
        """
        if not self._writing.acquire(blocking=False):
            return
        try:
            before = committed(self._folder / "segments")
            self._index = open_tantivy(self._folder / "segments")
            self._see(self._index, before)
        except (ValueError, OSError) as error:
            raise IndexReadError(f"The lexical index cannot be opened: {error}") from error
        finally:
            self._writing.release()

    def give_back_postings(self) -> None:
        """The same for most of what they have touched, at a tenth of the cost; of nothing until the index was
        opened anew or written once."""
        self._postings.give_back()

    def _phrase(self, places: Sequence[tuple[int, str]]) -> Query:
        """Terms that stand so far from the first of them."""
        return Query.phrase_query(self._schema, "body", list[str | tuple[int, str]](places))

    def _term(self, field: str, word: str) -> Query:
        return Query.term_query(self._schema, field, word, "position" if field == "words" else "freq")

    def _starting_with(self, prefix: str) -> list[str]:
        found = self._searcher.terms_with_prefix("words", prefix, limit=_PREFIX_EXPANSIONS)
        return [word for word, _ in found]

    def _scoring(self, query: LexicalQuery, field: str, boost: float = 1.0) -> list[tuple[Occur, Query]]:
        parts: list[tuple[Occur, Query]] = []
        for stem, known in zip(query.terms, query.known.tolist(), strict=True):
            if known:
                term = self._term(field, stem)
                parts.append((Occur.Should, Query.boost_query(term, boost) if boost != 1.0 else term))
        return parts

    def _run(self, scoring: Query, conditions: list[Query], limit: int) -> tuple[Rowids, Floats]:
        if limit < 1:
            return _nothing()
        query = scoring
        if conditions:
            silent = [(Occur.Must, Query.const_score_query(each, 0.0)) for each in conditions]
            query = Query.boolean_query([(Occur.Must, scoring), *silent])
        try:
            searcher = self._searcher
            hits = searcher.search(query, limit, count=False).hits
            rows = searcher.fast_field_values("row", [address for _, address in hits])
        except (ValueError, OSError) as error:
            raise IndexReadError(f"The lexical index cannot be searched: {error}") from error
        scores = np.fromiter((score for score, _ in hits), dtype=np.float32, count=len(hits))
        return np.array(rows, dtype=np.int64), scores


def _nothing() -> tuple[Rowids, Floats]:
    return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.float32)
