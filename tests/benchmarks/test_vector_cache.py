"""The benchmarks' vector cache: what a run has embedded, the next one has, whatever happened between."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from vector_cache import VectorCache

from remanence.models.embedder import Embedder

TEXTS = ["how to reverse a list", "comment inverser une liste", ""]


@pytest.fixture(scope="module")
def embedder(embedder_folder: Path) -> Embedder:
    return Embedder.load(embedder_folder)


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def test_the_next_run_embeds_only_what_is_new(embedder: Embedder, tmp_path: Path) -> None:
    first = VectorCache(embedder, tmp_path)
    vectors = first.encode(TEXTS)
    assert vectors.shape == (3, embedder.dimensions)
    before = {path: path.read_bytes() for path in _files(tmp_path)}
    second = VectorCache(embedder, tmp_path)
    assert np.array_equal(second.encode(TEXTS), vectors)
    assert _files(tmp_path) == list(before)
    second.encode([TEXTS[0], "a new text"])
    assert len(second) == 4
    assert all(path.read_bytes() == content for path, content in before.items())
    assert len(_files(tmp_path)) == len(before) + 1


def test_two_runs_at_once_keep_what_both_embedded(embedder: Embedder, tmp_path: Path) -> None:
    one, other = VectorCache(embedder, tmp_path), VectorCache(embedder, tmp_path)
    one.encode(TEXTS[:2])
    other.encode(TEXTS[1:])
    assert len(VectorCache(embedder, tmp_path)) == 3


@pytest.mark.parametrize("kept", [0, 100, 0.5], ids=["empty", "cut in its header", "cut in the middle"])
def test_a_damaged_file_costs_its_own_vectors_only(
    embedder: Embedder, tmp_path: Path, kept: float, capsys: pytest.CaptureFixture[str]
) -> None:
    VectorCache(embedder, tmp_path).encode(TEXTS[:1])
    (whole,) = _files(tmp_path)
    VectorCache(embedder, tmp_path).encode(TEXTS)
    (damaged,) = set(_files(tmp_path)) - {whole}
    content = damaged.read_bytes()
    damaged.write_bytes(content[: int(kept if kept > 1 else kept * len(content))])
    cache = VectorCache(embedder, tmp_path)
    assert len(cache) == 1
    assert damaged.name in capsys.readouterr().out
    assert np.allclose(cache.encode(TEXTS)[1], embedder.encode(TEXTS[1:])[0], atol=0.02)


def test_a_query_is_encoded_as_the_engine_encodes_it(embedder: Embedder, tmp_path: Path) -> None:
    cache = VectorCache(embedder, tmp_path)
    expected = embedder.encode_query(TEXTS[0]).astype(np.float16).astype(np.float32)
    assert np.array_equal(cache.encode_query(TEXTS[0]), expected)
    assert np.array_equal(cache.encode_queries(TEXTS)[0], expected)
    assert cache.encode([]).shape == (0, embedder.dimensions)
