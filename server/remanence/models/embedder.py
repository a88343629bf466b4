"""Texts to vectors, with onnxruntime and tokenizers: no torch, no transformers.

The graph is the whole sentence-transformers pipeline (transformer, pooling, any dense layer), written
by `remanence.models.embedder_export`.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from remanence.models.embedder_folder import Manifest, is_prepared, read_manifest, verify
from remanence.models.model_folder import ModelError, folder_name
from remanence.models.network import Network, batches, load, readable

__all__ = ["Embedder", "ModelError", "folder_name", "is_prepared", "verify"]

_NICENESS = 10
_WINDOW = 1024  # texts tokenised and sorted together: bounds what a long import holds in memory


class Embedder:
    """A prepared embedding model. Safe to use from several threads.

    int8 activations are scaled per batch, so a text's vector varies a little (cosine about .99) with
    the batch it was encoded in.
    """

    def __init__(self, manifest: Manifest, network: Network, tokenizer: Tokenizer, threads: int = 1) -> None:
        self.model_id: str = manifest.model_id
        self.dimensions: int = manifest.dimensions
        self.max_tokens: int = manifest.max_tokens
        self._manifest = manifest
        self._network = network
        self._tokenizer = tokenizer
        # Each runs whole batches: two threads within one batch wait for each other, on a busy machine for
        # longer than they work (3 texts a second against 7, where other programs took most of the processor).
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="embedding", initializer=_step_back)

    @classmethod
    def load(cls, folder: Path, threads: int = 1) -> Embedder:
        """Load the model prepared in `folder`; `threads` are how many batches of passages run at once.

        Raises ModelError, saying what to do, where the folder is missing or damaged.
        """
        manifest = read_manifest(folder)
        network, tokenizer = load(folder, manifest, 1)
        tokenizer.enable_truncation(manifest.max_tokens)
        return cls(manifest, network, tokenizer, threads)

    def encode(self, texts: Sequence[str], *, batch_size: int = 32) -> NDArray[np.float32]:
        """Vectors of passages: shape (n, dimensions), float32, unit norm, in the order given. For work that
        nobody waits for: its threads have a low priority where threads can have one of their own (Linux).

        Only the first `max_tokens` tokens of a text count. Any string is fine, the empty one included.
        """
        vectors = np.empty((len(texts), self.dimensions), dtype=np.float32)
        for start in range(0, len(texts), _WINDOW):
            tokens = [
                self._tokens(self._manifest.passage_prefix, text) for text in texts[start : start + _WINDOW]
            ]
            cut = list(batches([len(ids) for ids in tokens], batch_size))
            runs = self._threads.map(self._run, [[tokens[index] for index in batch] for batch in cut])
            for batch, found in zip(cut, runs, strict=True):
                vectors[[start + index for index in batch]] = found
        return vectors

    def encode_query(self, text: str) -> NDArray[np.float32]:
        """The vector of a query: shape (dimensions,), float32, unit norm."""
        return self._run([self._tokens(self._manifest.query_prefix, text)])[0]

    def release(self) -> None:
        """Give back the working memory that large batches left with onnxruntime."""
        self._network.release()

    def _tokens(self, prefix: str, text: str) -> list[int]:
        return self._tokenizer.encode(prefix + readable(text, self.max_tokens)).ids

    def _run(self, batch: list[list[int]]) -> NDArray[np.float32]:
        """Vectors of token ids: shape (len(batch), dimensions)."""
        vectors = self._network.run(batch)
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
        return vectors / np.maximum(norms, np.finfo(np.float32).tiny)


def _step_back() -> None:
    """Lower the priority of this thread alone."""
    if sys.platform.startswith("linux"):
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)
