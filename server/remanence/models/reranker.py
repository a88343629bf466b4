"""How well a passage answers a query, with onnxruntime and tokenizers: no torch, no transformers.

A cross-encoder reads query and passage together, so it judges better than two vectors and can be asked
of few passages only. The graph is written by `remanence.models.reranker_export`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from remanence.models.model_folder import ModelError
from remanence.models.network import Network, batches, load, readable
from remanence.models.reranker_folder import Manifest, is_prepared, read_manifest, verify

__all__ = ["GivenUp", "ModelError", "Reranker", "is_prepared", "verify"]

_BATCH_SIZE = 32
_SPECIAL_TOKENS = 4  # around and between the two texts, as most of any model adds


class GivenUp(Exception):
    """Nobody waits for these scores any more."""


def never() -> bool:
    """The `given_up` of whoever waits for as long as it takes."""
    return False


class Reranker:
    """A prepared cross-encoder. Safe to use from several threads.

    int8 activations are scaled per batch, so a score varies a little with the passages beside it.
    """

    def __init__(self, manifest: Manifest, network: Network, tokenizer: Tokenizer) -> None:
        self.model_id: str = manifest.model_id
        self.max_tokens: int = manifest.max_tokens
        self._network = network
        self._tokenizer = tokenizer

    @classmethod
    def load(cls, folder: Path, threads: int = 1) -> Reranker:
        """Load the model prepared in `folder`; `threads` are what one run may use.

        Raises ModelError, saying what to do, where the folder is missing or damaged.
        """
        manifest = read_manifest(folder)
        network, tokenizer = load(folder, manifest, threads)
        # The query has half of the window at most, so the longer of the two is always the passage.
        tokenizer.enable_truncation(manifest.max_tokens, strategy="longest_first")
        return cls(manifest, network, tokenizer)

    def scores(
        self, query: str, passages: Sequence[str], given_up: Callable[[], bool] = never
    ) -> NDArray[np.float32]:
        """How relevant each passage is to the query, from 0 to 1: shape (n,), float32, in the order given.

        A pair that is longer than the model's window loses the end of its passage; a query has half of
        the window at most. Any string is fine, the empty one included. `given_up` is asked between
        batches, and GivenUp raised when it says so.
        """
        pairs = self._pairs(query, passages)
        scores = np.empty(len(passages), dtype=np.float32)
        for batch in batches([len(ids) for ids, _ in pairs], _BATCH_SIZE):
            if given_up():
                raise GivenUp
            found = self._network.run([pairs[i][0] for i in batch], [pairs[i][1] for i in batch])
            scores[batch] = sigmoid(found.reshape(len(batch)))
        return np.nan_to_num(scores, nan=0.0)  # what is no number is no sign of relevance

    def _pairs(self, query: str, passages: Sequence[str]) -> list[tuple[list[int], list[int]]]:
        """The token ids of each pair, and of each token which of the two texts it belongs to."""
        query = self._shortened(readable(query, self.max_tokens))
        encoded = [self._tokenizer.encode(query, readable(text, self.max_tokens)) for text in passages]
        return [(pair.ids, pair.type_ids) for pair in encoded]

    def _shortened(self, query: str) -> str:
        """The query up to the end of its last token in the first half of the window."""
        offsets = self._tokenizer.encode(query, add_special_tokens=False).offsets
        most = max(1, self.max_tokens // 2 - _SPECIAL_TOKENS)
        return query[: offsets[most - 1][1]] if len(offsets) > most else query


def sigmoid(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """What a network says of relevance as a number from 0 to 1; float32."""
    return np.exp(-np.logaddexp(np.float32(0), -logits)).astype(np.float32)  # exact where exp would overflow
