"""A cross-encoder of sentence-transformers to a folder that `Reranker` serves: ONNX, int8, checked.

    python -m remanence.models.reranker_export MODEL FOLDER

Meant as a child process (see `onnx_export`).
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from remanence.models import onnx_export
from remanence.models.model_folder import MODEL, TOKENIZER, ModelError
from remanence.models.onnx_export import Precision, Report, Weights
from remanence.models.reranker import Reranker, sigmoid
from remanence.models.reranker_folder import Fidelity, Manifest

if TYPE_CHECKING:
    from sentence_transformers import CrossEncoder

Pairs = list[tuple[str, str]]

_MOST_TOKENS = 512  # of the window: passages are short, so a longer one would only take time
_TOKEN_LENGTHS = (40, 160, 384)
# Of int8 against the original. The order among what is surely irrelevant may differ: recall adds scores up,
# and there the first search decides.
_LARGEST_DIFFERENCE, _MEAN_DIFFERENCE = 0.1, 0.02
_LARGEST_FP32 = 0.002  # above this the export itself is wrong

_QUERIES = (
    "connection pool runs out",
    "retry with a growing delay",
    "requête lente sur une grande table",
    "KeyError: 'DATABASE_URL'",
    "ordenar una lista de diccionarios por dos claves",
)


class _Config(msgspec.Struct):
    architectures: list[str] | None = None


def export(model: str, folder: Path, report: Report) -> Manifest:
    """Prepare `model` in `folder`, replacing what is there only once everything is written.

    `model` is a folder saved by sentence-transformers, or a model id of the Hugging Face Hub, fetched
    only where it is not in the local cache already. Raises ModelError in words.
    """
    manifest = onnx_export.prepare(folder, lambda partial: _write(model, partial, report))
    difference = manifest.fidelity.largest_difference
    report(1.0, f"{model} is ready ({manifest.precision}, scores within {difference:.3f} of the original's)")
    return manifest


def _write(model: str, partial: Path, report: Report) -> Manifest:
    report(0.0, f"finding {model}")
    weights = onnx_export.locate(model)
    _check_kind(model, weights.folder)
    report(0.1, "loading with sentence-transformers")
    original = _load(model, weights.folder)
    window = _window(original)
    original.max_seq_length = window
    report(0.4, "exporting to ONNX")
    _export_graph(model, original, partial / MODEL)
    onnx_export.backend_tokenizer(original.tokenizer).save(str(partial / TOKENIZER))
    report(0.5, "asking the original")
    lengths = sorted({min(length, window) for length in _TOKEN_LENGTHS})
    pairs = _pairs(original, lengths)
    expected = _scores_of(original, pairs)

    def measured(precision: Precision) -> Manifest:
        manifest = _describe(model, weights, original, precision)
        onnx_export.write_manifest(manifest, partial)
        fidelity = _compare(expected, _served(Reranker.load(partial), pairs), lengths)
        return msgspec.structs.replace(manifest, fidelity=fidelity)

    return onnx_export.quantise_if_faithful(partial, report, measured, _lost)


def _check_kind(model: str, folder: Path) -> None:
    """Refuse an embedder or a language model: it would be given a head of random weights."""
    try:
        config = msgspec.json.decode((folder / "config.json").read_bytes(), type=_Config)
    except (OSError, msgspec.DecodeError) as error:
        raise ModelError(f"The config.json of {model} cannot be read: {error}") from error
    if not any(name.endswith("ForSequenceClassification") for name in config.architectures or ()):
        raise ModelError(f"{model} is no cross-encoder: its network was not made to score pairs of texts.")


def _load(model: str, folder: Path) -> CrossEncoder:
    try:
        from sentence_transformers import CrossEncoder

        original = CrossEncoder(str(folder), device="cpu").eval()
    except Exception as error:
        raise ModelError(f"sentence-transformers cannot load {model}: {error}") from error
    onnx_export.backend_tokenizer(original.tokenizer)
    if original.num_labels != 1:
        raise ModelError(f"{model} sorts pairs into {original.num_labels} classes and gives no score.")
    return original


def _window(original: CrossEncoder) -> int:
    tokenizer: Any = original.tokenizer
    limits = [original.max_seq_length, tokenizer.model_max_length, _MOST_TOKENS]
    return int(min(limit for limit in limits if limit))


def _describe(model: str, weights: Weights, original: CrossEncoder, precision: Precision) -> Manifest:
    tokenizer: Any = original.tokenizer
    return Manifest(
        model=model,
        model_id=weights.model_id(precision),
        max_tokens=_window(original),
        pad_id=int(tokenizer.pad_token_id or 0),
        precision=precision,
        fidelity=Fidelity(
            largest_difference=1.0, mean_difference=1.0, rank_correlation=0.0, token_lengths=[]
        ),
        files=[],
    )


def _export_graph(model: str, original: CrossEncoder, file: Path) -> None:
    """The whole pipeline, token ids to the number before any activation."""
    import torch

    tokenizer: Any = original.tokenizer
    names = [name for name in tokenizer.model_input_names if name in onnx_export.INPUTS]

    class Pipeline(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.modules_in_order = original

        def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
            features = dict(zip(names, inputs, strict=True))
            return self.modules_in_order(features)["scores"].reshape(-1, 1)

    example = tokenizer(["a longer query", "short"], ["text", "text"], padding=True, return_tensors="pt")
    try:
        onnx_export.export_graph(Pipeline(), [example[name] for name in names], names, "score", file)
    except Exception as error:  # torch has as many kinds of refusals as networks have operators
        raise ModelError(f"{model} cannot be exported to ONNX: {error}") from error


def _pairs(original: CrossEncoder, lengths: list[int]) -> Pairs:
    """Every query with every sample at each length: relevant pairs and others."""
    tokenizer = onnx_export.backend_tokenizer(original.tokenizer)
    passages = [
        onnx_export.of_length(tokenizer, sample, length)
        for sample in onnx_export.SAMPLES
        for length in lengths
    ]
    return [(query, passage) for query in _QUERIES for passage in passages]


def _scores_of(original: CrossEncoder, pairs: Pairs) -> NDArray[np.float32]:
    import torch

    # the network's own number: some models name an activation of their own, ours is the sigmoid for all
    found = original.predict(pairs, activation_fn=torch.nn.Identity(), show_progress_bar=False)
    return sigmoid(np.asarray(found, dtype=np.float32))


def _served(reranker: Reranker, pairs: Pairs) -> NDArray[np.float32]:
    """The scores as recall asks for them: the passages of one query together."""
    passages: dict[str, list[str]] = {}
    for query, passage in pairs:
        passages.setdefault(query, []).append(passage)
    return np.concatenate([reranker.scores(query, texts) for query, texts in passages.items()])


def _compare(expected: NDArray[np.float32], served: NDArray[np.float32], lengths: list[int]) -> Fidelity:
    n = len(expected)
    ranks, served_ranks = (np.argsort(np.argsort(scores, kind="stable")) for scores in (expected, served))
    differences = np.nan_to_num(np.abs(expected - served), nan=1.0)  # no number is as wrong as can be
    return Fidelity(
        largest_difference=float(differences.max()),
        mean_difference=float(differences.mean()),
        rank_correlation=1 - 6 * float(np.square(ranks - served_ranks).sum()) / (n * (n * n - 1)),
        token_lengths=lengths,
    )


def _lost(manifest: Manifest) -> str | None:
    """In words what is too far from the original, or None."""
    found = manifest.fidelity
    if manifest.precision == "fp32":
        is_close = found.largest_difference <= _LARGEST_FP32
        return None if is_close else f"scores by up to {found.largest_difference:.4f}"
    if found.largest_difference > _LARGEST_DIFFERENCE or found.mean_difference > _MEAN_DIFFERENCE:
        return f"scores by up to {found.largest_difference:.3f}, {found.mean_difference:.3f} on average"
    return None


if __name__ == "__main__":
    sys.exit(onnx_export.run(sys.argv[1:], "remanence.models.reranker_export", export))
