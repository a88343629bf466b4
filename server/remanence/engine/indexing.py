"""What follows a capture in the background: vectors, keywords, a place in each index.

One thread does it all, newest first. The queues are the database's own (`memory.backlog`), the indexes
only caches of it: whatever happens to this thread or its process, the next one goes on where it was.
"""

from __future__ import annotations

import hashlib
import logging
import shutil
import threading
import time
from collections.abc import Callable, Sequence

import numpy as np

from remanence.engine.embedding import EmbedderSlot
from remanence.engine.foreground import step_aside
from remanence.engine.keywording import keyworded
from remanence.engine.mapped_pages import MappedPages, settle
from remanence.engine.purging import PurgeMarks
from remanence.memory.backlog import Backlog, texts_of
from remanence.memory.database import StoreError
from remanence.memory.dense import DenseIndex
from remanence.memory.index_files import IndexReadError, IndexWriteError
from remanence.memory.lexical import LexicalIndex
from remanence.memory.lexical_files import is_whole
from remanence.memory.store import Store
from remanence.models.embedder import Embedder
from remanence.models.embedder_folder import Manifest
from remanence.models.keyword_client import KeywordWorker
from remanence.models.worker_messages import WorkerError
from remanence.paths import Home

log = logging.getLogger(__name__)

_EMBED_BATCH = 256  # exchanges; their texts are sorted by length before they are padded: few cost a third
_EMBED_PIECES = 512  # texts; a batch of long exchanges ends here
_KEYWORD_BATCH = 32
_TEXT_BATCH = 1000
_TEXT_AT_ONCE = 8
_VECTOR_BATCH = 8192  # 6 MB at 384 dimensions
_SNAPSHOT_AFTER = 5000  # vectors since the last one
_PURGE_AT_ONCE = 10_000  # exchanges; a larger store waits until nobody needs the processor
_IDLE_SECONDS = 20.0
_RETRY_SECONDS = 5.0
_TRUST_SECONDS = 600.0  # between two times that an index is built again because a search met damage
_CLOSE_SECONDS = 20.0


class Indexing:
    """The indexes of one engine and the thread that keeps them up to date."""

    def __init__(self, home: Home, store: Store, embedders: EmbedderSlot, keywords_per_exchange: int) -> None:
        self.backlog = Backlog(store.database)
        self.lexical = LexicalIndex.open(home.indexes / "lexical")
        self.dense: DenseIndex | None = None
        self.trouble: str | None = None
        self.busy = False
        self._home = home
        self._store = store
        self._embedders = embedders
        self._per_exchange = keywords_per_exchange
        self._worker: KeywordWorker | None = None
        self._caught_up: int | None = None  # the revision up to which dense holds all vectors, once known
        self._unsaved = 0
        self._idle = False
        self._worked = True  # opening is work too
        self._unread = True  # whether the lexical files' checksums are still to be compared
        self._text_damaged = False
        self._trusted_until = 0.0
        self.pages = MappedPages(self._give_back_pages, lambda: self.lexical.give_back_postings())
        self._beside = home.indexes / "lexical.new"  # where one is built
        self._purge_marks = PurgeMarks(home.indexes)
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._rebuild = threading.Event()
        # Held while an index is brought to agree with the database, so that forgetting comes before or after.
        self._agreeing = threading.Lock()
        self._text_behind = store.count_changed(self.lexical.revision) > _TEXT_BATCH
        self._thread = threading.Thread(target=self._run, name="indexing", daemon=True)

    def start(self) -> None:
        self._thread.start()
        self.pages.start()

    def wake(self) -> None:
        """Something was stored."""
        self._wake.set()

    def rebuild(self) -> None:
        """Make both indexes again from the database, in the background; the old ones serve meanwhile."""
        self._rebuild.set()
        self._wake.set()

    def is_building(self) -> bool:
        """Whether an index does not hold yet what the database holds for it."""
        return self.is_building_text() or (self.dense is not None and self._caught_up is None)

    def is_building_text(self) -> bool:
        """Whether the lexical index is made again, or behind by more than what was just captured."""
        return self._rebuild.is_set() or self._text_behind or self._text_damaged

    def is_text_whole(self) -> bool:
        """Whether the lexical index's files are as they were written. Reads them all."""
        segments = self._home.indexes / "lexical" / "segments"
        return is_whole(segments) or is_whole(segments)  # a commit meanwhile takes files away

    def mistrust(self, *, text_alone: bool) -> None:
        """A search met damage in the lexical index, or it cannot be said in which: what may be damaged is
        built again in the background. Not over and over, where that does not help."""
        now = time.monotonic()
        if now < self._trusted_until:
            return
        self._trusted_until = now + _TRUST_SECONDS
        log.warning("a search met damage: %s built again", "the words are" if text_alone else "all is")
        if text_alone:
            self._text_damaged = True
            self._wake.set()
        else:
            self.rebuild()

    def by_meaning(self) -> tuple[DenseIndex, Embedder] | tuple[None, None]:
        """The dense index and the embedder of its model, loaded at the first query; or neither."""
        dense = self.dense
        embedder = self._embedders.serving(dense.model_id) if dense is not None else None
        return (dense, embedder) if dense is not None and embedder is not None else (None, None)

    def count_to_keyword(self) -> int:
        """Rows that wait for keywords; none when the user turned keywords off."""
        return self.backlog.count_to_keyword() if self._per_exchange else 0

    def expect_forgetting(self) -> None:
        """Called before rows leave the database."""
        self._purge_marks.forgotten()

    def forget(self, rows: Sequence[int]) -> None:
        """Take rows out of both indexes now; their words leave the lexical files soon after."""
        self.expect_forgetting()
        try:
            with self._agreeing:
                self.lexical.remove(rows)
                self.lexical.commit(self.lexical.revision)
                if self.dense is not None:
                    self.dense.remove(np.asarray(rows, np.int64))
                    self._unsaved += len(rows)  # their codes are still in the snapshot
        except IndexWriteError as error:  # the database has forgotten them, and the indexes follow it
            log.warning("the indexes are built again without what was forgotten: %s", error)
            self._rebuild.set()
        self._wake.set()

    def close(self) -> None:
        """Finish the batch under way, save the indexes, end the worker."""
        self._stopping.set()
        self._wake.set()
        self.pages.close()
        deadline = time.monotonic() + _CLOSE_SECONDS
        while self._thread.is_alive() and time.monotonic() < deadline:
            if (worker := self._worker) is not None:
                worker.close()  # else it would be waited for, and it takes seconds to start
            self._thread.join(timeout=0.1)
        try:
            self._save()
        except (IndexWriteError, StoreError) as error:
            log.warning("an index was not saved: %s", error)
        self._end_worker()
        self.lexical.close()
        if self.dense is not None:
            self.dense.close()

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._wake.clear()
            try:
                self.busy = self._step()
                self.trouble = None
            except Exception as error:  # noqa: BLE001  the thread must outlive whatever one batch meets
                if self._stopping.is_set():
                    return
                known = isinstance(error, StoreError | IndexWriteError | IndexReadError | WorkerError)
                log.warning("indexing pauses: %s", error if known else type(error).__name__)
                self.trouble, self.busy = str(error) if known else type(error).__name__, False
                self._stopping.wait(_RETRY_SECONDS)
                continue
            if self.busy:
                self._worked = True
                continue
            if not self._wake.wait(_IDLE_SECONDS):
                self._rest()

    def _step(self) -> bool:
        """Do the most urgent batch; whether there was one."""
        if self._rebuild.is_set():
            if self._rebuild_text():
                self._open_dense(fresh=True)
                self._rebuild.clear()
            return True
        if self._text_damaged:
            self._text_damaged = not self._rebuild_text()
            return True
        self._text_behind = self._index_text(self.lexical)
        if self._text_behind:
            return True
        if self.dense is None and self._store.count():
            self._open_dense()
        if self._catch_up() or self._embed():
            return True
        self._save()
        if self._look_through_text() or self._keyword():
            return True
        self._purge()
        self._idle = False
        return False

    def _look_through_text(self) -> bool:
        """Once, when all that was stored is indexed: compare the checksums that opening did not; whether
        they differ somewhere."""
        if not self._unread:
            return False
        self._unread = False
        self._text_damaged = not self.is_text_whole()
        if self._text_damaged:
            log.warning("the lexical index is damaged: it is built again")
        settle()
        return self._text_damaged

    def _purge(self) -> None:
        """Build the lexical index without the words of what was forgotten, once that disturbs nobody; what
        is captured meanwhile goes first, and the round goes on later."""
        if self._purge_marks.is_due() and (self._idle or self._store.count() <= _PURGE_AT_ONCE):
            self._purge_marks.begin(self._beside)
            if self._finish_text(lambda: self._store.revision() > self.lexical.revision):
                self._purge_marks.done()

    def _index_text(self, index: LexicalIndex) -> bool:
        """Bring a lexical index one batch nearer to the database; whether there is more."""
        newest = self._store.revision()
        if index.revision >= newest:
            return False
        changed = self.backlog.changed(index.revision, _TEXT_BATCH)
        whole = len(changed) < _TEXT_BATCH
        index.remove(self.backlog.deleted(index.revision))
        for start in range(0, len(changed), _TEXT_AT_ONCE):
            step_aside()
            index.add(changed[start : start + _TEXT_AT_ONCE])
        index.commit(newest if whole else changed[-1].revision)
        return not whole

    def _rebuild_text(self) -> bool:
        """Build a new lexical index, put it in the old one's place; false where the engine ends."""
        shutil.rmtree(self._beside, ignore_errors=True)
        return self._finish_text(lambda: False)

    def _finish_text(self, waits: Callable[[], bool]) -> bool:
        """Go on with the lexical index beside the old one, put it in its place; false where the engine ends,
        or something `waits`."""
        place, beside = self._home.indexes / "lexical", self._beside
        fresh = LexicalIndex.open(beside)
        try:
            while self._index_text(fresh):
                if self._stopping.is_set() or waits():
                    return False
        finally:
            fresh.close()
        with self._agreeing:
            self.lexical.close()
            shutil.rmtree(place, ignore_errors=True)
            beside.rename(place)
            self.lexical = LexicalIndex.open(place)
        return True

    def _choose(self) -> Manifest | None:
        """The model that serves: the settings' own, or, until all is embedded with it, the one before."""
        wanted = self._embedders.manifest()
        earlier = self.backlog.model_before(wanted.model_id if wanted else "")
        if earlier and (wanted is None or self.backlog.count_to_embed(wanted.model_id)):
            return self._embedders.manifest(earlier) or wanted
        return wanted

    def _open_dense(self, *, fresh: bool = False) -> None:
        """Open the index of the model that serves now; `fresh` builds it from nothing."""
        model = self._choose()
        with self._agreeing:
            if self.dense is not None:
                self.dense.close()
                self.dense = None
            if model is None:
                return
            name = hashlib.sha256(model.model_id.encode()).hexdigest()[:12]
            folder = self._home.indexes / f"dense-{name}"
            for other in self._home.indexes.glob("dense-*"):
                if fresh or other != folder:
                    shutil.rmtree(other, ignore_errors=True)
            self._caught_up = None
            dense = DenseIndex.open(folder, model.model_id, model.dimensions)
            gone = self.backlog.without_vector(model.model_id, dense.revision)
            dense.remove(np.asarray(gone, np.int64))
            self._unsaved = len(gone)
            self.dense = dense

    def _catch_up(self) -> bool:
        """Add what was embedded since the snapshot; whether that is still under way."""
        dense = self.dense
        if dense is None or self._caught_up is not None:
            return False
        reached = dense.revision
        while not self._stopping.is_set():
            with self._agreeing:
                found = self.backlog.vectors(dense.model_id, dense.dimensions, reached, _VECTOR_BATCH)
                if not len(found.numbers):
                    break
                dense.add(found.numbers, found.values, found.counts)
                self._unsaved += len(found.numbers)
                reached = found.revision
        if self._stopping.is_set():
            return False
        if len(dense) != self.backlog.count_vectors(dense.model_id):
            log.warning("the dense index does not match the database: it is built again")
            self._open_dense(fresh=True)
            return True
        self._caught_up = reached
        return True

    def _embed(self) -> bool:
        """Embed the newest batch that waits, and switch to the model of the settings when none does."""
        model_id = self._embedders.model_id()
        if self.dense is None or model_id is None:
            return False
        serves = self.dense.model_id == model_id
        waiting = self.backlog.to_embed(model_id, _EMBED_BATCH)
        if not waiting:
            if not serves:
                self._open_dense()
            return not serves
        wanted = self._embedders.get()
        if wanted is None:
            return False
        waiting, texts, counts = texts_of(waiting, _EMBED_PIECES)
        vectors = np.split(wanted.encode(texts), np.cumsum(counts)[:-1])
        with self._agreeing:
            kept = self.backlog.put_vectors(wanted.model_id, waiting, vectors)
            if serves and kept:
                rows = np.array([waiting[position].row for position in kept], np.int64)
                own = [vectors[position] for position in kept]
                self.dense.add(rows, np.concatenate(own), np.array([len(each) for each in own], np.int64))
                self._unsaved += len(kept)
        if self._unsaved > _SNAPSHOT_AFTER:
            self._save()
        return True

    def _keyword(self) -> bool:
        if not self._per_exchange or self.dense is None:
            return False
        waiting = self.backlog.to_keyword(self.dense.model_id, self.dense.dimensions, _KEYWORD_BATCH)
        if not waiting:
            return False
        if self._worker is None:
            self._worker = KeywordWorker(self._embedders.folder)
        self.backlog.put_keywords(keyworded(self._worker, waiting, self._per_exchange, self._stopping.is_set))
        return True

    def _save(self) -> None:
        """Make the dense index durable, as complete up to the vectors of this moment."""
        if self.dense is None or self._caught_up is None or not self._unsaved:
            return
        with self._agreeing:
            self.dense.snapshot(self._store.revision())
            self._unsaved = 0
        if self.dense.model_id == self._embedders.model_id():
            self.backlog.drop_other_vectors(self.dense.model_id)

    def _rest(self) -> None:
        """Nothing has waited for a while: give back what the last burst of work took."""
        self._idle = True
        self._end_worker()
        try:
            with self._agreeing:
                self.lexical.rest()
        except IndexWriteError as error:
            log.warning("the lexical index stays in many segments: %s", error)
        if self.pages.rest() or self._worked:
            self._embedders.release()
            settle()
        self._worked = False

    def _give_back_pages(self) -> None:
        if not self._agreeing.acquire(blocking=False):  # another index may be taking its place
            return
        try:
            self.lexical.give_back_pages()
        except IndexReadError:
            self.mistrust(text_alone=True)
        finally:
            self._agreeing.release()

    def _end_worker(self) -> None:
        if self._worker is not None:
            self._worker.close()
            self._worker = None
