"""Rows with several vectors in the dense index: found by each of them, replaced and removed as one."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from dense_samples import D, chunks_of, clustered, found, ids, opened, saved_codes
from hypothesis import given, settings
from hypothesis import strategies as st

from remanence.memory import dense
from remanence.memory.dense import LEAST_CODES, DenseIndex
from remanence.memory.vector_file import VectorFile


def stored(folder: Path) -> np.ndarray:
    """The vectors in the file that are not wiped."""
    every = np.fromfile(next(folder.glob("vectors-*")), dtype=np.float16).reshape(-1, D)
    return every[every.any(axis=1)]


def with_parts(folder: Path) -> tuple[DenseIndex, np.ndarray]:
    """Rows 1 to 100 of three units each, and these units (100, 3, D)."""
    units = clustered(300).reshape(100, 3, D)
    index = opened(folder)
    index.add(np.arange(1, 101), units.reshape(-1, D), np.full(100, 3))
    return index, units


def test_a_row_is_found_by_each_of_its_units(tmp_path: Path) -> None:
    index, units = with_parts(tmp_path)
    for part in range(3):
        near = index.search(units[41, part], 3)
        at = near.rowids.tolist().index(42)
        assert near.best[at] == pytest.approx(1, abs=2e-3)
        assert near.whole[at] == pytest.approx(float(units[41, 0] @ units[41, part]), abs=2e-3)


def test_a_row_stands_once_in_what_is_found_and_the_sum_of_both_cosines_decides(tmp_path: Path) -> None:
    index, units = with_parts(tmp_path)
    near = index.search(units[0, 0], 100)
    assert sorted(near.rowids.tolist()) == list(range(1, 101))
    cosines = units @ units[0, 0]
    np.testing.assert_allclose(near.whole, cosines[near.rowids - 1, 0], atol=2e-3)
    np.testing.assert_allclose(near.best, cosines[near.rowids - 1].max(axis=1), atol=2e-3)
    assert np.all(np.diff(near.whole + near.best) <= 0)


def test_rows_without_a_vector_have_no_cosine(tmp_path: Path) -> None:
    index, units = with_parts(tmp_path)
    index.remove(ids(7))
    asked = ids(100, 7, 3, 5000, 0, 3)
    near, vectors = index.near(units[2, 1], asked), index.vectors(asked)
    missing = [False, True, False, True, True, False]
    assert np.isnan(near.whole).tolist() == np.isnan(near.best).tolist() == missing
    np.testing.assert_array_equal(vectors, index.vectors(asked))
    np.testing.assert_array_equal(near.wholes, vectors.astype(np.float16))
    np.testing.assert_allclose(vectors[[0, 2, 5]], units[[99, 2, 2], 0], atol=1e-3)
    assert not vectors[[1, 3, 4]].any()
    assert near.best[2] == pytest.approx(1, abs=2e-3)


def test_what_is_found_comes_with_the_vectors_of_the_wholes(tmp_path: Path) -> None:
    index, units = with_parts(tmp_path)
    near = index.search(units[41, 2], 5)
    np.testing.assert_array_equal(near.wholes, units[near.rowids - 1, 0].astype(np.float16))


def test_a_replaced_row_leaves_nothing_of_its_old_units(tmp_path: Path) -> None:
    index, units = with_parts(tmp_path)
    index.snapshot(1)
    index.add(ids(42), -units[41, :1], ids(1))
    assert (len(index), len(stored(tmp_path))) == (100, 298)
    assert index.search(units[41, 2], 100).best.max() < 0.99
    assert found(index, -units[41, 0], 1) == [42]
    index.snapshot(2)
    old = saved_codes(tmp_path, 123, 124, 125)
    assert np.array_equal(old, np.tile(old[0], (3, 1)))  # all overwritten with the same
    again = opened(tmp_path)
    assert (len(again), again.note) == (100, None)
    assert found(again, -units[41, 0], 1) == [42]
    assert again.verify()


def test_of_a_row_given_twice_the_last_units_count(tmp_path: Path) -> None:
    units = clustered(7)
    index = opened(tmp_path)
    index.add(ids(4, 5, 4), units, ids(3, 2, 2))
    assert (len(index), len(stored(tmp_path))) == (2, 4)
    assert index.near(units[1], ids(4)).best < 0.99
    assert index.near(units[6], ids(4)).best == pytest.approx(1, abs=2e-3)


def test_removing_wipes_every_unit(tmp_path: Path) -> None:
    index, units = with_parts(tmp_path)
    index.remove(ids(42, 42, 43))
    assert (len(index), len(stored(tmp_path))) == (98, 294)
    assert 42 not in found(index, units[41, 2], 100)


def test_counts_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    index = opened(tmp_path)
    for counts in (ids(1, 1), ids(4), ids(2), ids(3, 0), ids(2, 1, 0)):
        with pytest.raises(ValueError, match=r"shape|units"):
            index.add(ids(1, 2)[: len(counts)], clustered(3), counts)
    with pytest.raises(ValueError, match="units"):
        index.add(ids(1), clustered(256), ids(256))
    with pytest.raises(ValueError, match=r"2\*\*31"):
        index.add(ids(2**31), clustered(1))
    assert len(index) == 0


@pytest.mark.parametrize("scope_size", [3, 40, 90])
def test_a_scope_restricts_whichever_way_it_is_searched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scope_size: int
) -> None:
    monkeypatch.setattr("remanence.memory.dense._EXACT_BELOW", 30)
    with chunks_of(64):
        units = clustered(3000).reshape(1000, 3, D)
        index = opened(tmp_path)
        index.add(np.arange(1000), units.reshape(-1, D), np.full(1000, 3))
        scope = np.random.default_rng(3).permutation(1000)[: scope_size * 10]
        index.remove(scope[:2])
        near = index.search(units[5, 1], 10, among=np.append(scope, [5000, -3]))
        cosines = units[scope[2:]] @ units[5, 1]
        exact = scope[2:][np.argsort(-(cosines[:, 0] + cosines.max(axis=1)))][:10]
        assert len(set(near.rowids.tolist()) & set(exact.tolist())) >= 9
        assert set(near.rowids.tolist()) <= set(scope[2:].tolist())


@pytest.mark.parametrize("near_by", [0, 100])
def test_what_is_out_of_scope_or_gone_does_not_crowd_out_the_rest(tmp_path: Path, near_by: int) -> None:
    index = opened(tmp_path)
    away = -clustered(3000, seed=5)
    index.add(np.arange(3000), away)
    index.add(np.arange(3000, 5000), np.tile(clustered(1), (2000, 1)))
    index.remove(np.arange(4000, 5000))
    near = index.search(clustered(1)[0], 120, among=np.arange(3000 + near_by))
    assert np.count_nonzero(near.rowids >= 3000) == near_by
    assert np.count_nonzero(near.rowids < 3000) == 120 - near_by


@pytest.mark.parametrize("change", ["add", "replace", "remove", "compact"])
def test_a_search_under_way_never_mixes_rows_up(tmp_path: Path, change: str) -> None:
    index, units = with_parts(tmp_path)
    others = clustered(600, seed=9)
    calls = 0

    def meanwhile() -> bool:
        nonlocal calls
        calls += 1
        if calls == 2:  # between the codes and the vectors
            if change == "add":
                index.add(np.arange(200, 800), others)
            elif change == "replace":
                index.add(np.arange(1, 51), others[:100], np.full(50, 2))
            else:
                index.remove(np.arange(1, 51))
            if change == "compact":
                index.snapshot(1)
                index.add(np.arange(1, 51), others[:100], np.full(50, 2))
        return False

    near = index.search(units[60, 2], 100, cancelled=meanwhile)
    assert calls >= 2
    expected = range(1, 101) if change == "add" else range(51, 101)
    assert set(near.rowids.tolist()) == set(expected)
    cosines = units[near.rowids - 1] @ units[60, 2]
    np.testing.assert_allclose(near.whole, cosines[:, 0], atol=2e-3)
    np.testing.assert_allclose(near.best, cosines.max(axis=1), atol=2e-3)


@settings(max_examples=60, deadline=None)
@given(
    st.dictionaries(st.integers(0, 200), st.integers(1, 6), min_size=1, max_size=60),
    st.integers(0, 10_000),
    st.sampled_from([5, 64, 1 << 18]),
)
def test_search_equals_brute_force_where_all_are_candidates(
    tmp_path_factory: pytest.TempPathFactory, rows: dict[int, int], seed: int, chunk: int
) -> None:
    counts = np.array(list(rows.values()))
    assert counts.sum() <= LEAST_CODES
    vectors, query = clustered(int(counts.sum()), seed=seed), clustered(1, seed=seed + 1)[0]
    with chunks_of(chunk):
        index = opened(tmp_path_factory.mktemp("dense"))
        index.add(np.array(list(rows)), vectors, counts)
        near = index.search(query, len(rows))
    starts = np.cumsum(counts) - counts
    best = {row: max(vectors[at : at + n] @ query) for (row, n), at in zip(rows.items(), starts, strict=True)}
    assert near.rowids.tolist() == list(dict.fromkeys(near.rowids.tolist()))
    assert dict(zip(near.rowids.tolist(), near.best.tolist(), strict=True)) == pytest.approx(best, abs=2e-3)


def test_the_nearest_are_found_though_they_lie_in_one_chunk_of_many(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dense, "LEAST_CODES", 40)
    monkeypatch.setattr(dense, "_PER_DOUBLING", 0)
    vectors, query = clustered(4000), clustered(1, seed=1)[0]
    near = np.arange(128, 168)  # all of them in the third chunk of 64
    vectors[near] = query + 0.02 * clustered(40, seed=2)
    with chunks_of(64):
        index = opened(tmp_path)
        index.add(np.arange(4000), vectors)
        assert sorted(found(index, query, 40)) == near.tolist()


@pytest.mark.skipif(not hasattr(os, "pread"), reason="Windows reads otherwise")
def test_vectors_that_lie_close_together_are_read_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vectors = clustered(300).astype(np.float16)
    file = VectorFile.create(tmp_path, D)
    file.write(0, vectors)
    reads: list[int] = []
    pread = os.pread

    def counted(descriptor: int, size: int, at: int) -> bytes:
        reads.append(size)
        return pread(descriptor, size, at)

    monkeypatch.setattr(os, "pread", counted)
    for rows in ([0, 2, 5, 100, 101, 299], [7], [], list(range(300))):
        np.testing.assert_array_equal(file.gather(ids(*rows)), vectors[rows])
    assert [size // (2 * D) for size in reads] == [6, 2, 1, 1, 300]
