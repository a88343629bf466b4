"""Vectors by text, kept between runs: embedding the evaluation sets takes minutes."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from remanence.models.embedder import Embedder
from remanence.models.embedder_folder import is_prepared

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".cache"
MODEL = CACHE / "remanence" / "models" / "all-MiniLM-L6-v2"
_SAVED_AT_ONCE = 4096  # texts: what a killed run loses at most

Floats = NDArray[np.float32]


def load_embedder(folder: Path = MODEL, threads: int = 2) -> Embedder:
    """The embedder prepared in `folder`; the default one is prepared first where it is not yet."""
    if folder == MODEL and not is_prepared(folder):
        print("preparing the embedder (once; half a minute, PyTorch does it) …", flush=True)
        folder.parent.mkdir(parents=True, exist_ok=True)
        export = [sys.executable, "-m", "remanence.models.embedder_export", folder.name, str(folder)]
        subprocess.run(export, check=True)
    return Embedder.load(folder, threads)


class VectorCache:
    """Vectors by a hash of their text. Files are only ever added, each whole or not there at all, so a
    killed run and two runs at once do no harm. Queries are encoded as the engine encodes them: one by
    one, with the model's own prefix."""

    def __init__(self, embedder: Embedder, folder: Path = CACHE / "recall_quality") -> None:
        self.embedder = embedder
        name = embedder.model_id.replace("/", "-")
        self._folder = folder / name
        self._places: dict[bytes, tuple[int, int]] = {}
        self._blocks: list[NDArray[np.float16]] = []
        first = folder / f"{name}.npz"  # where earlier versions of this cache kept everything
        for path in [*([first] if first.exists() else []), *sorted(self._folder.glob("*.npz"))]:
            self._read(path)

    def __len__(self) -> int:
        return len(self._places)

    def encode(self, texts: Sequence[str]) -> Floats:
        """Vectors of passages: (n, d), unit norm but for float16's rounding."""
        return self._encode([(_key(text), text) for text in texts], query=False)

    def encode_queries(self, texts: Sequence[str]) -> Floats:
        """Vectors of queries: (n, d), unit norm but for float16's rounding."""
        return self._encode([(_key(f"query:{text}"), text) for text in texts], query=True)

    def encode_query(self, text: str) -> Floats:
        """The vector of one query: (d,). Kept for this run only: it is not worth a file."""
        key = _key(f"query:{text}")
        if key not in self._places:
            self._add([key], self.embedder.encode_query(text).astype(np.float16)[None])
        block, row = self._places[key]
        return self._blocks[block][row].astype(np.float32)

    def _encode(self, wanted: list[tuple[bytes, str]], query: bool) -> Floats:
        new = {key: text for key, text in wanted if key not in self._places}
        if new:
            print(f"embedding {len(new)} {'queries' if query else 'texts'} …", flush=True)
        keys = list(new)
        for start in range(0, len(keys), _SAVED_AT_ONCE):
            part = keys[start : start + _SAVED_AT_ONCE]
            if query:
                vectors = np.stack([self.embedder.encode_query(new[key]) for key in part])
            else:
                vectors = self.embedder.encode([new[key] for key in part])
            self._save(part, vectors.astype(np.float16))
        if not wanted:
            return np.empty((0, self.embedder.dimensions), np.float32)
        places = [self._places[key] for key, _ in wanted]
        return np.stack([self._blocks[block][row] for block, row in places]).astype(np.float32)

    def _save(self, keys: Sequence[bytes], vectors: NDArray[np.float16]) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        written, path = tempfile.mkstemp(dir=self._folder, suffix=".part")
        with os.fdopen(written, "wb") as file:
            np.savez(file, keys=np.array([list(key) for key in keys], np.uint8), vectors=vectors)
        os.replace(path, path.removesuffix(".part") + ".npz")
        self._add(keys, vectors)

    def _read(self, path: Path) -> None:
        try:
            with np.load(path) as stored:
                keys, vectors = list(map(bytes, stored["keys"])), stored["vectors"]
        except (ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            print(f"{path.name} in the vector cache cannot be read and is made again: {error}")
            return
        if vectors.shape == (len(keys), self.embedder.dimensions):
            self._add(keys, vectors)

    def _add(self, keys: Sequence[bytes], vectors: NDArray[np.float16]) -> None:
        self._blocks.append(vectors)
        self._places.update({key: (len(self._blocks) - 1, row) for row, key in enumerate(keys)})


def _key(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:16]
