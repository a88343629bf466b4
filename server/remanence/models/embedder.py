"""Texts to vectors, with onnxruntime and tokenizers: no torch, no transformers.

The graph is the whole sentence-transformers pipeline (transformer, pooling, any dense layer), written
by `remanence.models.embedder_export`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from tokenizers import Tokenizer

from remanence.models.embedder_folder import (
    MODEL,
    TOKENIZER,
    EmbedderError,
    Manifest,
    folder_name,
    is_prepared,
    read_manifest,
    verify,
)

__all__ = ["Embedder", "EmbedderError", "folder_name", "is_prepared", "verify"]

_WINDOW = 1024  # texts tokenised and sorted together: bounds what a long import holds in memory
# Padded tokens run at once. The arena keeps what the largest batch needed (measured: 33 MB more for 512
# tokens, 61 MB for 1,024, 495 MB for 8,192); larger batches are no faster, and no arena is 3 times slower.
_BATCH_TOKENS = 512
_CHARACTERS_PER_TOKEN = 32  # several times what any script needs, so only text past the cut goes unread


class Embedder:
    """A prepared embedding model. Safe to use from several threads.

    int8 activations are scaled per batch, so a text's vector varies a little (cosine about .99) with
    the batch it was encoded in.
    """

    def __init__(
        self, manifest: Manifest, session: onnxruntime.InferenceSession, tokenizer: Tokenizer
    ) -> None:
        self.model_id: str = manifest.model_id
        self.dimensions: int = manifest.dimensions
        self.max_tokens: int = manifest.max_tokens
        self._manifest = manifest
        self._session = session
        nodes = cast(list[Any], session.get_inputs())
        self._inputs = [str(node.name) for node in nodes]
        self._tokenizer = tokenizer
        self._max_characters = manifest.max_tokens * _CHARACTERS_PER_TOKEN

    @classmethod
    def load(cls, folder: Path, threads: int = 1) -> Embedder:
        """Load the model prepared in `folder`; `threads` are what one encoding may use.

        Raises EmbedderError, saying what to do, where the folder is missing or damaged.
        """
        manifest = read_manifest(folder)
        # Read by tokenizers at its first batch: its own thread pool would ignore `threads`.
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
        try:
            tokenizer = Tokenizer.from_file(str(folder / TOKENIZER))
            session = _session(folder / MODEL, threads)
        except Exception as error:  # both libraries raise their own untyped errors
            raise EmbedderError(
                f"The embedder in {folder} cannot be loaded ({error}): run `remanence prepare --force`."
            ) from error
        tokenizer.no_padding()
        tokenizer.enable_truncation(manifest.max_tokens)
        return cls(manifest, session, tokenizer)

    def encode(self, texts: Sequence[str], *, batch_size: int = 32) -> NDArray[np.float32]:
        """Vectors of passages: shape (n, dimensions), float32, unit norm, in the order given.

        Only the first `max_tokens` tokens of a text count. Any string is fine, the empty one included.
        """
        vectors = np.empty((len(texts), self.dimensions), dtype=np.float32)
        for start in range(0, len(texts), _WINDOW):
            tokens = [
                self._tokens(self._manifest.passage_prefix, text) for text in texts[start : start + _WINDOW]
            ]
            for batch in _batches([len(ids) for ids in tokens], batch_size):
                vectors[[start + index for index in batch]] = self._run([tokens[index] for index in batch])
        return vectors

    def encode_query(self, text: str) -> NDArray[np.float32]:
        """The vector of a query: shape (dimensions,), float32, unit norm."""
        return self._run([self._tokens(self._manifest.query_prefix, text)])[0]

    def release(self) -> None:
        """Give back the working memory that large batches left with onnxruntime."""
        options: Any = onnxruntime.RunOptions()  # pyright: ignore[reportUnknownVariableType]
        options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
        one = np.ones((1, 1), dtype=np.int64)
        self._session.run(None, dict.fromkeys(self._inputs, one), options)

    def _tokens(self, prefix: str, text: str) -> list[int]:
        # A lone surrogate is a legal str and no legal UTF-8, which the tokenizer insists on.
        text = text.lstrip()[: self._max_characters].encode("utf-8", "replace").decode("utf-8")
        return self._tokenizer.encode(prefix + text).ids

    def _run(self, batch: list[list[int]]) -> NDArray[np.float32]:
        """Vectors of token ids, padded to the longest of the batch: shape (len(batch), dimensions)."""
        longest = max(map(len, batch))
        ids = np.full((len(batch), longest), self._manifest.pad_id, dtype=np.int64)
        mask = np.zeros_like(ids)
        for row, tokens in enumerate(batch):
            ids[row, : len(tokens)] = tokens
            mask[row, : len(tokens)] = 1
        feeds = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        outputs = cast(list[Any], self._session.run(None, {name: feeds[name] for name in self._inputs}))
        vectors = np.asarray(outputs[0], dtype=np.float32)
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
        return vectors / np.maximum(norms, np.finfo(np.float32).tiny)


def _batches(lengths: Sequence[int], batch_size: int) -> Iterator[list[int]]:
    """Indexes of `lengths`, shortest first, in batches of `batch_size` and `_BATCH_TOKENS` at most."""
    batch: list[int] = []
    for index in sorted(range(len(lengths)), key=lengths.__getitem__):
        if batch and (len(batch) == batch_size or (len(batch) + 1) * lengths[index] > _BATCH_TOKENS):
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch


def _session(model: Path, threads: int) -> onnxruntime.InferenceSession:
    onnxruntime.disable_telemetry_events()  # on by default in the Windows builds
    options = cast(Any, onnxruntime.SessionOptions())
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
