"""The codes of the dense index: small, near where the vectors are near, and never changed under a search."""

from __future__ import annotations

import numpy as np
import pytest
from dense_samples import clustered, ids
from hypothesis import given, settings
from hypothesis import strategies as st

from remanence.memory.dense_codes import Codes, Quantiser

D = 96


def coded(vectors: np.ndarray) -> tuple[Quantiser, Codes]:
    quantiser = Quantiser(vectors.shape[1])
    return quantiser, quantiser.codes().then(quantiser.turned(vectors))


@pytest.mark.parametrize(("dimensions", "size"), [(384, 32), (768, 64), (100, 9), (1, 1)])
def test_a_code_takes_four_bits_for_six_dimensions(dimensions: int, size: int) -> None:
    assert Quantiser(dimensions).code_bytes == size


def test_a_turned_vector_keeps_its_cosines() -> None:
    vectors = clustered(50, 100)
    turned = Quantiser(100).turned(vectors)
    np.testing.assert_allclose(turned @ turned.T, vectors @ vectors.T, atol=1e-5)


def test_the_nearest_codes_are_those_of_the_nearest_vectors() -> None:
    vectors = clustered(5000, 384)
    queries = (vectors[:30] + 0.03 * np.random.default_rng(1).standard_normal((30, 384))).astype(np.float32)
    quantiser, codes = coded(vectors)
    hits = 0
    for query in queries:
        near, at = codes.nearest(quantiser.turned(query[None])[0], 200)
        assert np.all(np.diff(near) <= 0)
        hits += len(np.intersect1d(at, np.argsort(-(vectors @ query))[:10]))
    assert hits / 300 >= 0.97


def test_all_of_the_codes_are_found_where_all_are_wanted() -> None:
    quantiser, codes = coded(clustered(100, D))
    for wanted in (100, 1000):
        near, at = codes.nearest(-quantiser.turned(clustered(1, D))[0], wanted)
        assert sorted(at.tolist()) == list(range(100))
        assert np.all(np.diff(near) <= 0)


def test_a_scan_and_a_look_at_single_codes_say_the_same() -> None:
    quantiser, codes = coded(clustered(1000, D))
    query = quantiser.turned(clustered(1, D, seed=1))[0]
    near, at = codes.nearest(query, 50)
    np.testing.assert_allclose(near, codes.near(query, at), atol=0.03)


@pytest.mark.parametrize("marked", [0, 1, 40, 999, 1000])
def test_a_scanner_finds_marked_codes_alone(marked: int) -> None:
    quantiser, codes = coded(clustered(1000, D))
    query = quantiser.turned(clustered(1, D, seed=1))[0]
    among = np.zeros(1000, dtype=np.bool_)
    among[np.random.default_rng(0).permutation(1000)[:marked]] = True
    scanner = quantiser.scanner()
    for wanted in (1, 30):
        near, at = scanner.nearest(codes, among, query, wanted)
        assert len(at) == min(wanted, marked)
        assert among[at].all()
        expected = [one for one in codes.nearest(query, 1000)[1].tolist() if among[one]]
        np.testing.assert_allclose(near, codes.near(query, ids(*expected[: len(at)])), atol=0.03)


def test_a_scanner_goes_from_codes_to_codes() -> None:
    vectors = clustered(1000, D)
    quantiser, codes = coded(vectors)
    fewer = quantiser.codes().then(quantiser.turned(vectors[:70]))
    scanner, query = quantiser.scanner(), quantiser.turned(vectors[69:70])[0]
    for these in (codes, fewer, codes):
        among = np.zeros(len(these), dtype=np.bool_)
        among[::3] = True
        assert scanner.nearest(these, among, query, 1)[1].tolist() == [69]


def test_codes_that_grow_leave_those_of_a_search_under_way_alone() -> None:
    quantiser, codes = coded(clustered(40, D))
    before = codes.packed().copy()
    grown = codes.then(quantiser.turned(clustered(40, D, seed=1)))
    assert (len(codes), len(grown)) == (40, 80)
    np.testing.assert_array_equal(codes.packed(), before)
    assert not grown.differ(0, clustered(40, D).astype(np.float16)).any()


def test_a_vector_that_is_not_what_its_code_was_made_of_is_noticed() -> None:
    vectors = clustered(100, D).astype(np.float16)
    _, codes = coded(vectors.astype(np.float32))
    assert not codes.differ(0, vectors).any()
    assert codes.differ(10, vectors[11:21]).all()
    changed = vectors[:3].copy()
    changed[1] = 0
    changed[2, : D // 2] *= -1
    assert codes.differ(0, changed).tolist() == [False, True, True]


def test_blanked_codes_are_all_the_same_and_the_others_stay() -> None:
    vectors = clustered(100, D).astype(np.float16)
    _, codes = coded(vectors.astype(np.float32))
    codes.blank(ids(0, 15, 16, 31, 32, 99))
    assert np.flatnonzero(codes.differ(0, vectors)).tolist() == [0, 15, 16, 31, 32, 99]
    codes.blank(np.arange(100))
    assert not codes.packed().any()


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(1, 70), min_size=1, max_size=5))
def test_codes_come_back_as_they_were_packed_however_they_grew(sizes: list[int]) -> None:
    vectors = clustered(sum(sizes), D)
    quantiser = Quantiser(D)
    codes = quantiser.codes()
    for start, size in zip(np.cumsum([0, *sizes]), sizes, strict=False):
        codes = codes.then(quantiser.turned(vectors[start : start + size]))
    again = quantiser.restored(codes.packed().copy(), len(codes))
    assert len(again) == len(vectors)
    np.testing.assert_array_equal(again.packed(), codes.packed())
    query, every = quantiser.turned(vectors[:1])[0], np.arange(len(vectors))
    np.testing.assert_array_equal(again.near(query, every), codes.near(query, every))
    assert not again.differ(0, vectors.astype(np.float16)).any()
