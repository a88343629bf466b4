"""The indexing thread against what comes between its steps: forgetting, a failing disk, the end."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from typing import Any

import psutil
import pytest
from service_in_process import never

from remanence.engine import messages as m
from remanence.engine.service import Service, open_service
from remanence.memory.backlog import Backlog
from remanence.memory.dense_codes import Quantiser
from remanence.memory.dense_files import Loaded, load_snapshot
from remanence.memory.index_files import IndexReadError, IndexWriteError
from remanence.memory.lexical import LexicalIndex
from remanence.memory.segment_merging import sizes
from remanence.memory.store import Store
from remanence.paths import Home

WORD = "zorblatt"


def capture(service: Service) -> str:
    request = m.CaptureRequest(question=f"What is a {WORD}?", answer="A word that nothing else holds.")
    return service.capture(request, never).id


def wait_until(holds: Callable[[], bool]) -> None:
    for _ in range(1200):  # a keyword worker on a busy machine takes its time
        if holds():
            return
        time.sleep(0.05)
    raise AssertionError("it never came about")


def is_embedded(service: Service) -> bool:
    by = service.status(m.Empty(), never).pending_by
    return by.embedding == by.indexing == 0 and service.indexing.dense is not None


def workers() -> list[psutil.Process]:
    return [
        child
        for child in psutil.Process().children()
        if "remanence.models.indexing_worker" in child.cmdline()
    ]


def knows_word(service: Service) -> bool:
    """Whether the term dictionaries on disk hold it, also those of rows that are marked as deleted."""
    return bool(service.indexing.lexical._starting_with(WORD[:5]))


def test_forgotten_words_leave_the_files_even_if_the_first_attempt_failed(home: Home) -> None:
    service = open_service(home)
    memory = capture(service)
    wait_until(lambda: service.indexing.lexical.revision == service.store.revision())
    assert knows_word(service)
    (home.indexes / "lexical.new").touch()  # where the new index should be built is something else
    service.forget(m.ForgetRequest(ids=[memory]), never)
    wait_until(lambda: service.indexing.trouble is not None)
    service.close()
    (home.indexes / "lexical.new").unlink()
    again = open_service(home)
    try:
        wait_until(lambda: not knows_word(again))
    finally:
        again.close()


def test_a_crash_while_forgetting_leaves_no_words_behind(home: Home) -> None:
    service = open_service(home)
    memory = capture(service)
    wait_until(lambda: service.indexing.lexical.revision == service.store.revision())
    service.indexing.forget = _crash  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        service.forget(m.ForgetRequest(ids=[memory]), never)
    service.close()
    again = open_service(home)
    try:
        wait_until(lambda: not knows_word(again))
    finally:
        again.close()


def _crash(_rows: object) -> None:
    raise KeyboardInterrupt


def test_what_is_forgotten_while_it_is_embedded_is_in_no_index(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = open_service(home)
    put = service.indexing.backlog.put_vectors
    forgetting: list[threading.Thread] = []

    def put_and_forget(model: str, waiting: Any, vectors: Any) -> list[int]:
        kept = put(model, waiting, vectors)
        forget = threading.Thread(target=service.forget, args=(m.ForgetRequest(ids=[memory]), never))
        forget.start()
        forget.join(timeout=0.5)
        forgetting.append(forget)
        return kept

    monkeypatch.setattr(service.indexing.backlog, "put_vectors", put_and_forget)
    memory = capture(service)
    try:
        wait_until(lambda: bool(forgetting) and not forgetting[0].is_alive())
        wait_until(lambda: not service.indexing.busy)
        assert service.store.count() == 0
        assert service.indexing.dense is not None
        assert len(service.indexing.dense) == 0
    finally:
        service.close()


def test_the_code_of_a_forgotten_memory_leaves_the_snapshot(home: Home) -> None:
    service = open_service(home)
    memory = capture(service)
    wait_until(lambda: is_embedded(service))
    assert service.indexing.dense is not None
    model, (folder,) = service.indexing.dense.model_id, home.indexes.glob("dense-*")

    def codes() -> int:
        loaded = load_snapshot(folder, model, 384, Quantiser(384))
        if not isinstance(loaded, Loaded):
            return -1
        return sum(bool(chunk.codes.packed().any()) for _, chunk in loaded.slots.view().chunks())

    try:
        wait_until(lambda: codes() == 1)
        service.forget(m.ForgetRequest(ids=[memory]), never)
        wait_until(lambda: codes() == 0)
    finally:
        service.close()


def long_answer(*topics: str) -> str:
    return "\n\n".join(
        " ".join(f"Remark {i} on {topic} and what else there is to say of {topic}." for i in range(12))
        for topic in topics
    )


def test_the_last_part_of_a_long_answer_is_found_by_its_own_vector(home: Home) -> None:
    service = open_service(home)
    topics = ("the tax return", "a garden fence", "the school choir", "volcanic islands", "sourdough bread")
    request = m.CaptureRequest(question="What did we talk about?", answer=long_answer(*topics))
    service.capture(request, never)
    capture(service)
    try:
        wait_until(lambda: is_embedded(service))
        dense, embedder = service.indexing.by_meaning()
        assert dense is not None
        assert embedder is not None
        near = dense.search(embedder.encode_query("How does one bake sourdough bread?"), 2)
        (row,) = service.store.rows(near.rowids[:1].tolist())
        assert row.question == "What did we talk about?"
        assert near.best[0] > near.whole[0] + 0.2
        counts = service.indexing.backlog.vectors(dense.model_id, dense.dimensions, 0, 100).counts
        assert counts.max() > 5
    finally:
        service.close()


def test_long_exchanges_are_embedded_in_batches_of_bounded_size(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("remanence.engine.indexing._EMBED_PIECES", 8)
    service = open_service(home)
    embedder = service.embedders.get()
    assert embedder is not None
    encode, sizes = embedder.encode, list[int]()

    def counted(texts: Any) -> Any:
        sizes.append(len(texts))
        return encode(texts)

    monkeypatch.setattr(embedder, "encode", counted)
    try:
        for topic in ("ships", "trains", "planes"):
            answer = long_answer(*[topic] * (8 if topic == "planes" else 3))
            service.capture(m.CaptureRequest(question=f"What of {topic}?", answer=answer), never)
        wait_until(lambda: is_embedded(service) and service.indexing.dense is not None)
        dense = service.indexing.dense
        assert dense is not None
        stored = service.indexing.backlog.vectors(dense.model_id, dense.dimensions, 0, 100)
        assert sorted(sizes) == sorted(stored.counts.tolist())
        assert len(dense) == 3
    finally:
        service.close()


def test_closing_ends_a_keyword_worker_that_is_still_loading(home: Home) -> None:
    service = open_service(home)
    capture(service)
    wait_until(lambda: bool(workers()))
    service.close()
    assert workers() == []
    again = open_service(home)
    try:
        wait_until(lambda: again.indexing.count_to_keyword() == 0)
        assert again.recall(m.RecallRequest(query=WORD), never).memories[0].keywords
    finally:
        again.close()


def test_forgetting_holds_though_an_index_cannot_be_written(home: Home) -> None:
    service = open_service(home)
    memory = capture(service)
    wait_until(lambda: service.indexing.lexical.revision == service.store.revision())
    (home.indexes / "lexical" / "segments").rename(home.indexes / "lexical" / "away")
    try:
        answer = service.forget(m.ForgetRequest(ids=[memory]), never)
        assert answer.forgotten == 1
        wait_until(lambda: not knows_word(service) and not service.indexing.is_building())
    finally:
        service.close()


def test_the_doctor_finds_a_lexical_file_that_was_damaged_and_mends_it(home: Home) -> None:
    service = open_service(home)
    capture(service)
    wait_until(lambda: service.status(m.Empty(), never).pending == 0)
    (store,) = (home.indexes / "lexical" / "segments").glob("*.store")
    content = bytearray(store.read_bytes())
    content[0] ^= 255
    store.write_bytes(content)

    def finding(request: m.DoctorRequest) -> m.Finding:
        found = service.doctor(request, never).findings
        return next(each for each in found if each.check == "lexical index")

    try:
        assert not finding(m.DoctorRequest()).ok
        assert finding(m.DoctorRequest(repair=True)).done
        wait_until(lambda: not service.indexing.is_building())
        assert finding(m.DoctorRequest()).ok
    finally:
        service.close()


def damage_unseen(home: Home) -> None:
    """Change one bit of the lexical index's texts, and leave the file's size and time as they were."""
    (store,) = (home.indexes / "lexical" / "segments").glob("*.store")
    before, content = store.stat(), bytearray(store.read_bytes())
    content[0] ^= 1
    store.write_bytes(content)
    os.utime(store, ns=(before.st_atime_ns, before.st_mtime_ns))


def test_damage_that_opening_does_not_see_is_found_and_mended_soon_after(home: Home) -> None:
    service = open_service(home)
    capture(service)
    wait_until(lambda: service.status(m.Empty(), never).pending == 0)
    service.close()
    damage_unseen(home)
    again = open_service(home)
    try:
        assert again.indexing.lexical.note is None
        assert len(again.indexing.lexical) == 1
        wait_until(again.indexing.is_text_whole)
        wait_until(lambda: not again.indexing.is_building())
        assert again.recall(m.RecallRequest(query=WORD, mode="lexical"), never).memories
    finally:
        again.close()


@pytest.mark.parametrize("mode", ["hybrid", "lexical"])
def test_what_a_search_finds_damaged_is_built_again(
    home: Home, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = open_service(home)
    capture(service)
    wait_until(lambda: service.status(m.Empty(), never).pending == 0)
    damaged = service.indexing.lexical

    def search(*_given: object) -> None:
        raise IndexReadError("its files are gone")

    monkeypatch.setattr(damaged, "search", search)
    request = m.RecallRequest(query=WORD, mode=mode)  # type: ignore[arg-type]
    try:
        if mode == "lexical":
            with pytest.raises(IndexReadError):
                service.recall(request, never)
        else:
            assert service.recall(request, never).memories  # by its meaning
        wait_until(lambda: service.indexing.lexical is not damaged)
        wait_until(lambda: not service.indexing.is_building())
        assert service.recall(m.RecallRequest(query=WORD, mode="lexical"), never).memories
    finally:
        service.close()


def test_an_engine_at_rest_gives_pages_back_and_searches_as_before(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("remanence.engine.indexing._IDLE_SECONDS", 0.2)
    service = open_service(home)
    capture(service)
    wait_until(lambda: service.status(m.Empty(), never).pending == 0)
    given_back: list[int] = []
    give_back = service.indexing.lexical.give_back_pages
    monkeypatch.setattr(
        service.indexing.lexical, "give_back_pages", lambda: given_back.append(1) or give_back()
    )
    try:
        for rests in (1, 2):
            assert service.recall(m.RecallRequest(query=WORD), never).memories
            wait_until(lambda rests=rests: len(given_back) == rests)
            time.sleep(0.5)  # nobody searched since: nothing to give back
            assert len(given_back) == rests
    finally:
        service.close()


def test_an_engine_at_rest_merges_segments_and_outlives_one_that_it_cannot(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = open_service(home)
    for number in range(24):
        service.capture(m.CaptureRequest(question=f"What is {WORD}{number}?", answer="A word."), never)
    wait_until(lambda: service.status(m.Empty(), never).pending == 0)
    service.close()
    lexical = home.indexes / "lexical"
    index, store = LexicalIndex.open(lexical), Store.open(home.database)
    rows = Backlog(store.database).changed(0, 100)
    for start in range(0, 24, 4):
        index.add(rows[start : start + 4])
        index.commit(index.revision)
    index.close()
    store.close()
    assert sorted(sizes(lexical / "segments")) == [4] * 6

    monkeypatch.setattr("remanence.engine.indexing._IDLE_SECONDS", 0.2)
    rest, refused = LexicalIndex.rest, threading.Event()

    def rest_later(index: LexicalIndex) -> None:
        if not refused.is_set():
            refused.set()
            raise IndexWriteError("The disk is full.")
        rest(index)

    monkeypatch.setattr(LexicalIndex, "rest", rest_later)
    service = open_service(home)
    try:
        wait_until(lambda: refused.is_set() and sizes(lexical / "segments") == [24])
        wait_until(lambda: len(service.indexing.lexical) == 24)
        request = m.RecallRequest(query=f"{WORD}17", mode="lexical")
        assert f"{WORD}17" in service.recall(request, never).memories[0].question
    finally:
        service.close()
