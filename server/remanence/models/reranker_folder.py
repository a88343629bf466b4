"""A prepared cross-encoder's folder: what its manifest says beside what every model's does."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from msgspec import Struct
from msgspec.json import Decoder

from remanence.models import model_folder
from remanence.models.model_folder import SealedManifest


class Fidelity(Struct, frozen=True, kw_only=True):
    """The served scores against the original model's, over pairs of several lengths.

    Differences are of scores from 0 to 1; `rank_correlation` (Spearman's) is recorded for the reader only.
    """

    largest_difference: float
    mean_difference: float
    rank_correlation: float
    token_lengths: list[int]


class Manifest(SealedManifest, frozen=True, kw_only=True):
    """What `Reranker.load` needs to know. The graph gives one number a pair, the reranker its sigmoid."""

    kind: ClassVar[str] = "reranker"

    fidelity: Fidelity


_DECODER = Decoder(Manifest)


def is_prepared(folder: Path) -> bool:
    """Whether `folder` holds a reranker whose files have their recorded sizes (hashes are not read)."""
    return model_folder.size_damage(folder, _DECODER) is None


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a prepared reranker. Raises ModelError when it is not prepared or is damaged."""
    return model_folder.read(folder, _DECODER)


def verify(folder: Path) -> str | None:
    """A sentence naming the damage, or None where every file has its recorded SHA-256."""
    return model_folder.damage(folder, _DECODER)
