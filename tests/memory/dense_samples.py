"""Vectors like those of sentences, and a dense index of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from remanence.memory import dense, dense_files, dense_search, dense_slots
from remanence.memory.dense import DenseIndex
from remanence.memory.dense_codes import Quantiser

D = 64


def clustered(count: int, dimensions: int = D, seed: int = 0) -> np.ndarray:
    """Unit vectors around a few hundred centres: neighbours are close, as with real sentences."""
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((200, dimensions))
    vectors = centres[rng.integers(0, 200, count)] + 0.8 * rng.standard_normal((count, dimensions))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def ids(*values: int) -> np.ndarray:
    return np.array(values, dtype=np.int64)


def opened(folder: Path) -> DenseIndex:
    return DenseIndex.open(folder, "model/a", D)


def found(index: DenseIndex, query: np.ndarray, limit: int = 10) -> list[int]:
    return index.search(query, limit).rowids.tolist()


def saved_codes(folder: Path, *slots: int) -> np.ndarray:
    """What the saved codes of these slots say of each dimension: (n, w)."""
    quantiser = Quantiser(D)
    loaded = dense_files.load_snapshot(folder, "model/a", D, quantiser)
    assert isinstance(loaded, dense_files.Loaded)
    each = np.eye(len(quantiser.turned(clustered(1))[0]), dtype=np.float32)
    chunks = list(loaded.slots.view().chunks())
    found: list[list[float]] = []
    for slot in slots:
        start, chunk = max((one for one in chunks if one[0] <= slot), key=lambda one: one[0])
        found.append([float(chunk.codes.near(one, ids(slot - start))[0]) for one in each])
    return np.array(found)


@contextmanager
def chunks_of(slots: int) -> Iterator[None]:
    """Chunks so small that a test fills several."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (dense, dense_files, dense_search, dense_slots):
            patch.setattr(module, "CHUNK", slots)
        yield
