"""Fixtures shared by every room's tests: the real embedder, prepared once for all of them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from filelock import FileLock

import tiny_model
from remanence.models import reranker_folder as rerankers
from remanence.models.embedder_folder import is_prepared, verify
from remanence.models.model_folder import folder_name
from remanence.paths import Home

DEFAULT_EMBEDDER = "all-MiniLM-L6-v2"
_PREPARED = Path(__file__).parents[1] / ".cache" / "remanence" / "models"
_TINY_CROSS_ENCODER = Path(__file__).with_name("tiny_cross_encoder.py")


@pytest.fixture(scope="session")
def embedder_folder() -> Path:
    """The default embedder, exported on the first run and kept in the repository's cache."""
    folder = _PREPARED / folder_name(DEFAULT_EMBEDDER)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.parent / "tests.lock"):
        if not is_prepared(folder):
            subprocess.run(
                [sys.executable, "-m", "remanence.models.embedder_export", DEFAULT_EMBEDDER, str(folder)],
                check=True,
            )
    assert verify(folder) is None
    return folder


@pytest.fixture(scope="session")
def cross_encoder() -> Path:
    """A tiny sentence-transformers CrossEncoder, trained on the first run and kept."""
    return tiny_model.made("tiny_cross_encoder", "model", _TINY_CROSS_ENCODER, recipe=())


@pytest.fixture(scope="session")
def reranker_folder(cross_encoder: Path) -> Path:
    """The tiny cross-encoder as it is served, exported on the first run."""
    folder = cross_encoder.with_name("prepared")
    with FileLock(folder.parent / "prepared.lock"):
        if not rerankers.is_prepared(folder):
            subprocess.run(
                [sys.executable, "-m", "remanence.models.reranker_export", str(cross_encoder), str(folder)],
                check=True,
            )
    assert rerankers.verify(folder) is None
    return folder


@pytest.fixture
def home(tmp_path: Path, embedder_folder: Path) -> Home:
    """A data directory of its own, with the default embedder already prepared."""
    home = Home(tmp_path / "home").create()
    (home.models / embedder_folder.name).symlink_to(embedder_folder, target_is_directory=True)
    return home
