"""The dense index: what it finds, and that no damage or crash makes it lie about what it holds."""

from __future__ import annotations

import errno
from pathlib import Path

import numpy as np
import pytest
from dense_samples import D, chunks_of, clustered, found, ids, opened
from hypothesis import given, settings
from hypothesis import strategies as st

from remanence.memory import dense_files, vector_file
from remanence.memory.dense import Cancelled, DenseIndex
from remanence.memory.index_files import IndexWriteError


def test_search_finds_what_exact_search_finds(tmp_path: Path) -> None:
    vectors = clustered(20_000, 384)
    index = DenseIndex.open(tmp_path, "m", 384)
    index.add(np.arange(20_000), vectors)
    rng = np.random.default_rng(1)
    queries = vectors[rng.integers(0, 20_000, 100)] + 0.03 * rng.standard_normal((100, 384))
    hits = 0
    for query in queries.astype(np.float32):
        exact = set(np.argsort(-(vectors @ query))[:10].tolist())
        hits += len(exact & set(found(index, query)))
    assert hits / 1000 >= 0.99


def test_scores_are_exact_cosines_best_first(tmp_path: Path) -> None:
    vectors = clustered(500)
    index = opened(tmp_path)
    index.add(np.arange(500), vectors * 7)
    query = vectors[3] * 2
    near = index.search(query, 5)
    np.testing.assert_allclose(near.whole, vectors[near.rowids] @ vectors[3], atol=2e-3)
    np.testing.assert_array_equal(near.best, near.whole)
    assert near.rowids[0] == 3
    assert np.all(np.diff(near.whole) <= 0)


def test_halves_are_widened_exactly() -> None:
    every = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
    finite = every[np.isfinite(every)]
    assert np.array_equal(vector_file.widened(finite), finite.astype(np.float32))


def test_an_empty_index_finds_nothing(tmp_path: Path) -> None:
    near = opened(tmp_path).search(np.ones(D, dtype=np.float32), 10)
    assert (len(near.rowids), len(near.whole), len(near.best)) == (0, 0, 0)
    assert found(opened(tmp_path), np.zeros(D, dtype=np.float32)) == []


def test_a_rowid_added_again_is_replaced(tmp_path: Path) -> None:
    vectors = clustered(50)
    index = opened(tmp_path)
    index.add(np.arange(50), vectors)
    index.add(ids(7, 90, 7), np.stack([vectors[1], vectors[2], -vectors[7]]))
    assert len(index) == 51
    assert found(index, -vectors[7], 1) == [7]
    assert found(index, vectors[7], 100).count(7) == 1
    np.testing.assert_allclose(index.vectors(ids(7, 1000))[0], -vectors[7], atol=1e-3)
    assert not index.vectors(ids(7, 1000))[1].any()


def test_removed_rowids_are_not_found_and_their_vectors_are_wiped(tmp_path: Path) -> None:
    vectors = clustered(300)
    index = opened(tmp_path)
    index.add(np.arange(300), vectors)
    index.remove(ids(*range(250), 9999))
    assert sorted(found(index, vectors[0], 300)) == list(range(250, 300))
    stored = np.fromfile(next(tmp_path.glob("vectors-*")), dtype=np.float16).reshape(-1, D)
    assert not stored[:250].any()
    assert stored[250:300].any(axis=1).all()


def test_a_wholly_removed_neighbourhood_does_not_hide_the_rest(tmp_path: Path) -> None:
    index = opened(tmp_path)
    near = np.tile(clustered(1), (3000, 1))
    index.add(np.arange(3000), near)
    index.add(np.arange(3000, 3050), -clustered(50, seed=5))
    index.remove(np.arange(3000))
    assert len(found(index, near[0], 50)) == 50


@pytest.mark.parametrize("size", [5, 1500, 3000])
def test_a_scope_restricts_the_search(tmp_path: Path, size: int) -> None:
    vectors = clustered(4000)
    index = opened(tmp_path)
    index.add(np.arange(4000), vectors)
    scope = np.random.default_rng(2).permutation(4000)[:size]
    rowids = index.search(vectors[0], 10, among=np.append(scope, 999_999)).rowids
    exact = scope[np.argsort(-(vectors[scope] @ vectors[0]))][:10]
    assert set(rowids.tolist()) == set(exact.tolist())


def test_an_empty_scope_finds_nothing(tmp_path: Path) -> None:
    index = opened(tmp_path)
    index.add(ids(1), clustered(1))
    assert len(index.search(clustered(1)[0], 3, among=ids()).rowids) == 0


def test_a_snapshot_brings_everything_back(tmp_path: Path) -> None:
    vectors = clustered(6000)
    index = opened(tmp_path)
    index.add(np.arange(6000), vectors)
    index.remove(ids(5))
    index.snapshot(41)
    index.close()
    again = opened(tmp_path)
    assert (len(again), again.revision, again.note) == (5999, 41, None)
    assert found(again, vectors[17], 1) == [17]
    assert 5 not in found(again, vectors[5], 50)
    assert again.verify()


def test_rows_after_the_last_snapshot_are_ignored_after_a_crash(tmp_path: Path) -> None:
    vectors = clustered(40)
    index = opened(tmp_path)
    index.add(np.arange(20), vectors[:20])
    index.snapshot(7)
    index.add(np.arange(20, 40), vectors[20:])
    index.remove(ids(3))
    # no snapshot, no close: the process is gone
    again = opened(tmp_path)
    assert (again.revision, len(again)) == (7, 20)
    again.remove(ids(3))
    again.add(np.arange(20, 40), vectors[20:])
    again.snapshot(8)
    last = opened(tmp_path)
    assert (last.revision, len(last)) == (8, 39)
    assert [found(last, v, 1)[0] for v in vectors[10:]] == list(range(10, 40))


def test_a_crash_between_compaction_and_its_snapshot_keeps_the_old_index(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vectors = clustered(100)
    index = opened(tmp_path)
    index.add(np.arange(100), vectors)
    index.snapshot(1)
    index.remove(np.arange(30))

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(dense_files, "replace_atomically", refuse)
        with pytest.raises(IndexWriteError, match="No space"):
            index.snapshot(2)
    assert sorted(found(index, vectors[50], 100)) == list(range(30, 100))
    again = opened(tmp_path)
    assert (again.revision, len(again)) == (1, 100)


def test_a_tenth_of_dead_slots_is_compacted_away(tmp_path: Path) -> None:
    vectors = clustered(10_000)
    index = opened(tmp_path)
    index.add(np.arange(10_000), vectors)
    index.snapshot(1)
    before = index.nbytes
    index.remove(np.arange(9_000))
    index.snapshot(2)
    assert index.nbytes < before / 2
    assert len(list(tmp_path.glob("vectors-*"))) == 1
    assert found(index, vectors[9_500], 1) == [9_500]
    index.add(ids(3), vectors[3:4])
    assert found(index, vectors[3], 1) == [3]
    index.snapshot(3)
    assert found(opened(tmp_path), vectors[3], 1) == [3]


def test_an_index_of_which_all_is_removed_is_empty_and_goes_on(tmp_path: Path) -> None:
    vectors = clustered(5000)
    index = opened(tmp_path)
    index.add(np.arange(5000), vectors)
    index.snapshot(1)
    index.remove(np.arange(5000))
    index.snapshot(2)
    assert index.nbytes == opened(tmp_path).nbytes
    index.add(ids(7), vectors[7:8])
    index.snapshot(3)
    again = opened(tmp_path)
    assert (len(again), again.revision, again.note) == (1, 3, None)
    assert found(again, vectors[7]) == [7]


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[: len(data) // 2],
        lambda data: b"",
        lambda data: data[:-1] + bytes([data[-1] ^ 1]),
        lambda data: data[:40] + bytes([data[40] ^ 64]) + data[41:],
        lambda data: b"PK\x03\x04" + data[4:],
    ],
)
def test_a_damaged_snapshot_gives_an_empty_index(tmp_path: Path, damage: object) -> None:
    index = opened(tmp_path)
    index.add(np.arange(30), clustered(30))
    index.snapshot(9)
    index.close()
    path = tmp_path / "snapshot.bin"
    path.write_bytes(damage(path.read_bytes()))  # type: ignore[operator]
    again = opened(tmp_path)
    assert (len(again), again.revision) == (0, 0)
    assert again.note
    again.add(np.arange(30), clustered(30))
    again.snapshot(10)
    assert len(opened(tmp_path)) == 30


@pytest.mark.parametrize("damage", ["truncated", "scrambled", "missing"])
def test_damaged_vectors_give_an_empty_index(tmp_path: Path, damage: str) -> None:
    index = opened(tmp_path)
    index.add(np.arange(5000), clustered(5000))
    index.snapshot(9)
    index.close()
    path = next(tmp_path.glob("vectors-*"))
    if damage == "truncated":
        path.write_bytes(path.read_bytes()[: 4000 * 2 * D])
    elif damage == "scrambled":
        path.write_bytes(np.random.default_rng(0).bytes(path.stat().st_size))
    else:
        path.unlink()
    again = opened(tmp_path)
    assert (len(again), again.revision) == (0, 0)
    assert again.note


@pytest.mark.parametrize(("model", "dimensions"), [("model/b", D), ("model/a", D * 2)])
def test_a_foreign_snapshot_gives_an_empty_index(tmp_path: Path, model: str, dimensions: int) -> None:
    index = opened(tmp_path)
    index.add(ids(1), clustered(1))
    index.snapshot(1)
    other = DenseIndex.open(tmp_path, model, dimensions)
    assert (len(other), other.revision) == (0, 0)
    assert other.note
    assert "another" in other.note


def test_verify_notices_one_changed_vector(tmp_path: Path) -> None:
    index = opened(tmp_path)
    index.add(np.arange(5000), clustered(5000))
    index.snapshot(1)
    with next(tmp_path.glob("vectors-*")).open("r+b") as file:
        file.seek(4321 * 2 * D)
        file.write(np.random.default_rng(0).standard_normal(D).astype(np.float16).tobytes())
    assert not index.verify()


def test_a_full_disk_adds_nothing_and_searches_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = clustered(20)
    index = opened(tmp_path)
    index.add(np.arange(10), vectors[:10])

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(vector_file.VectorFile, "write", refuse)
        with pytest.raises(IndexWriteError, match="No space"):
            index.add(np.arange(5, 20), vectors[5:])
    assert len(index) == 10
    assert found(index, vectors[5], 1) == [5]
    index.add(np.arange(10, 20), vectors[10:])
    assert len(index) == 20


def test_a_vector_that_is_not_finite_or_of_another_shape_is_refused(tmp_path: Path) -> None:
    index = opened(tmp_path)
    with pytest.raises(ValueError, match="finite"):
        index.add(ids(1), np.full((1, D), np.nan, dtype=np.float32))
    with pytest.raises(ValueError, match="shape"):
        index.add(ids(1, 2), clustered(1))
    with pytest.raises(ValueError, match="shape"):
        index.search(np.ones(D + 1, dtype=np.float32), 1)
    assert len(index) == 0


def test_a_cancelled_search_stops(tmp_path: Path) -> None:
    index = opened(tmp_path)
    index.add(ids(1), clustered(1))
    with pytest.raises(Cancelled):
        index.search(clustered(1)[0], 1, cancelled=lambda: True)


def test_a_search_that_is_cancelled_under_way_stops(tmp_path: Path) -> None:
    asked: list[int] = []

    def cancelled() -> bool:
        asked.append(1)
        return len(asked) > 3

    with chunks_of(256):
        index = opened(tmp_path)
        index.add(np.arange(3000), clustered(3000))
        with pytest.raises(Cancelled):
            index.search(clustered(1)[0], 1, cancelled=cancelled)
    assert len(asked) == 4


def test_files_are_private(tmp_path: Path) -> None:
    index = opened(tmp_path / "dense")
    index.add(ids(1), clustered(1))
    index.snapshot(1)
    assert {path.stat().st_mode & 0o077 for path in (tmp_path / "dense").iterdir()} == {0}


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("add"), st.lists(st.integers(0, 30), min_size=1, max_size=8)),
            st.tuples(st.just("remove"), st.lists(st.integers(0, 30), max_size=8)),
            st.tuples(st.just("snapshot"), st.just([])),
            st.tuples(st.just("reopen"), st.just([])),
        ),
        max_size=12,
    )
)
def test_it_holds_exactly_what_was_added_and_not_removed(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, list[int]]]
) -> None:
    folder = tmp_path_factory.mktemp("dense")
    index, held = opened(folder), set[int]()
    vectors = clustered(31)
    for step, rowids in steps:
        if step == "add":
            index.add(ids(*rowids), vectors[rowids])
            held |= set(rowids)
        elif step == "remove":
            index.remove(ids(*rowids))
            held -= set(rowids)
        elif step == "snapshot":
            index.snapshot(1)
        else:
            index.snapshot(2)
            index = opened(folder)
            assert index.note is None
        assert len(index) == len(held)
        assert set(found(index, vectors[0], 40)) == held
        for rowid in held:
            assert found(index, vectors[rowid], 1) == [rowid]
