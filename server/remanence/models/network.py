"""A network that was exported to ONNX, and its tokenizer: token ids in, one row a text out."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from tokenizers import Tokenizer

from remanence.models.model_folder import MODEL, TOKENIZER, SealedManifest, cannot_load

# Padded tokens run at once. The arena keeps what the largest batch needed (measured: 33 MB more for 512
# tokens, 61 MB for 1,024, 495 MB for 8,192); larger batches are no faster, and no arena is 3 times slower.
BATCH_TOKENS = 512
_CHARACTERS_PER_TOKEN = 32  # several times what any script needs, so only text past the cut goes unread


class Network:
    """Runs a graph over token ids. Safe to use from several threads."""

    def __init__(self, session: onnxruntime.InferenceSession, pad_id: int) -> None:
        self._session = session
        self._pad_id = pad_id
        nodes = cast(list[Any], session.get_inputs())
        self._inputs = [str(node.name) for node in nodes]

    def run(
        self, ids: Sequence[Sequence[int]], types: Sequence[Sequence[int]] | None = None
    ) -> NDArray[np.float32]:
        """The first output for these token ids, padded to the longest: shape (len(ids), …).

        `types` says of each token which text of a pair it belongs to; all 0 without it.
        """
        padded = np.full((len(ids), max(map(len, ids))), self._pad_id, dtype=np.int64)
        mask, kinds = np.zeros_like(padded), np.zeros_like(padded)
        for row, tokens in enumerate(ids):
            padded[row, : len(tokens)] = tokens
            mask[row, : len(tokens)] = 1
            if types is not None:
                kinds[row, : len(tokens)] = types[row]
        feeds = {"input_ids": padded, "attention_mask": mask, "token_type_ids": kinds}
        outputs = cast(list[Any], self._session.run(None, {name: feeds[name] for name in self._inputs}))
        return np.asarray(outputs[0], dtype=np.float32)

    def release(self) -> None:
        """Give back the working memory that large batches left with onnxruntime."""
        options: Any = onnxruntime.RunOptions()  # pyright: ignore[reportUnknownVariableType]
        options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
        one = np.ones((1, 1), dtype=np.int64)
        self._session.run(None, dict.fromkeys(self._inputs, one), options)


def load(folder: Path, manifest: SealedManifest, threads: int) -> tuple[Network, Tokenizer]:
    """The network prepared in `folder` and its tokenizer, which neither pads nor cuts.

    `threads` are what one run may use. Raises ModelError in words where the files are damaged.
    """
    # Read by tokenizers at its first batch: its own thread pool would ignore `threads`.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    try:
        tokenizer = Tokenizer.from_file(str(folder / TOKENIZER))
        network = Network(_session(folder / MODEL, threads), manifest.pad_id)
    except Exception as error:  # both libraries raise their own untyped errors
        raise cannot_load(folder, manifest.kind, error) from error
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return network, tokenizer


def readable(text: str, max_tokens: int) -> str:
    """The beginning of a text, as the tokenizer will take it: enough for `max_tokens` in any script."""
    # A lone surrogate is a legal str and no legal UTF-8, which the tokenizer insists on.
    beginning = text.lstrip()[: max_tokens * _CHARACTERS_PER_TOKEN]
    return beginning.encode("utf-8", "replace").decode("utf-8")


def batches(lengths: Sequence[int], batch_size: int) -> Iterator[list[int]]:
    """Indexes of `lengths`, shortest first, in batches of `batch_size` and `BATCH_TOKENS` at most."""
    batch: list[int] = []
    for index in sorted(range(len(lengths)), key=lengths.__getitem__):
        if batch and (len(batch) == batch_size or (len(batch) + 1) * lengths[index] > BATCH_TOKENS):
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
