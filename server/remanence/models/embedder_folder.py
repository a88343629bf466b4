"""A prepared embedder's folder: what its manifest says beside what every model's does."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from msgspec import Struct
from msgspec.json import Decoder

from remanence.models import model_folder
from remanence.models.model_folder import SealedManifest


class Fidelity(Struct, frozen=True, kw_only=True):
    """Cosine between the served vectors and the original model's, over texts of several lengths."""

    minimum: float
    mean: float
    token_lengths: list[int]


class Manifest(SealedManifest, frozen=True, kw_only=True):
    """What `Embedder.load` needs to know. The graph pools; the embedder brings vectors to unit norm.

    `model_id` is the key that vectors are stored under; `pooling` is recorded for the reader only.
    """

    kind: ClassVar[str] = "embedder"

    dimensions: int
    pooling: str
    query_prefix: str
    passage_prefix: str
    fidelity: Fidelity


_DECODER = Decoder(Manifest)


def is_prepared(folder: Path) -> bool:
    """Whether `folder` holds an embedder whose files have their recorded sizes (hashes are not read)."""
    return model_folder.size_damage(folder, _DECODER) is None


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a prepared embedder. Raises ModelError when it is not prepared or is damaged."""
    return model_folder.read(folder, _DECODER)


def verify(folder: Path) -> str | None:
    """A sentence naming the damage, or None where every file has its recorded SHA-256."""
    return model_folder.damage(folder, _DECODER)
