import os
import shutil
import string
import subprocess
import sys
import threading
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from remanence.models.embedder import Embedder, ModelError, folder_name, is_prepared, verify
from remanence.models.embedder_folder import read_manifest
from remanence.models.model_folder import MANIFEST, MODEL, TOKENIZER
from remanence.models.network import batches


@pytest.fixture(scope="module")
def embedder(embedder_folder: Path) -> Embedder:
    return Embedder.load(embedder_folder)


@pytest.fixture
def copy(tmp_path: Path, embedder_folder: Path) -> Path:
    return Path(shutil.copytree(embedder_folder, tmp_path / "embedder"))


def test_vectors_are_float32_rows_of_unit_norm(embedder: Embedder):
    vectors = embedder.encode(["a connection pool", "x", "def f(x): return x"])
    assert vectors.shape == (3, embedder.dimensions) == (3, 384)
    assert vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert embedder.encode_query("a connection pool").shape == (384,)


def test_no_texts_give_no_rows(embedder: Embedder):
    assert embedder.encode([]).shape == (0, 384)


def test_texts_of_mixed_lengths_come_back_in_the_order_given(embedder: Embedder):
    texts = [f"{word} " * repeats for word in ("database", "kitten", "violin") for repeats in (40, 1, 300)]
    together = embedder.encode(texts, batch_size=4)
    alone = np.vstack([embedder.encode([text]) for text in texts])
    assert list((together @ alone.T).argmax(axis=1)) == list(range(len(texts)))
    assert (together * alone).sum(axis=1).min() > 0.95


@pytest.mark.skipif(sys.platform != "linux", reason="only there has a thread a priority of its own")
def test_batches_run_side_by_side_behind_everything_else(embedder_folder: Path):
    embedder = Embedder.load(embedder_folder, threads=2)
    own = os.getpriority(os.PRIO_PROCESS, 0)
    before = set(threading.enumerate())
    texts = [f"{word} " * repeats for word in ("database", "kitten", "violin") for repeats in (40, 1, 300)]
    together = embedder.encode(texts, batch_size=2)
    assert np.allclose(together, Embedder.load(embedder_folder).encode(texts, batch_size=2), atol=1e-5)
    embedder.encode_query("a database")  # somebody waits for this one
    started = set(threading.enumerate()) - before
    aside = [each for each in started if each.name.startswith("embedding")]
    niceness = [os.getpriority(os.PRIO_PROCESS, each.native_id or 0) for each in aside]
    assert niceness[:2] == [max(own, 10)] * 2
    assert os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) == own


def test_what_means_the_same_is_nearer_than_what_does_not(embedder: Embedder):
    query = embedder.encode_query("my program cannot reach the database")
    near, far = embedder.encode(
        ["Postgres refuses the connection from the app", "How to bake sourdough bread"]
    )
    assert query @ near > query @ far + 0.2


@pytest.mark.parametrize(
    "text", ["", "   \n", "\0", "a\0b", "\ud800 lone surrogate", "👩‍💻" * 50, "é" * 10_000]
)
def test_any_string_has_a_vector(embedder: Embedder, text: str):
    vectors = embedder.encode([text, "another"])
    assert np.isfinite(vectors).all()
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


def test_only_the_first_tokens_of_a_huge_text_count(embedder: Embedder):
    beginning = "connection pool " * 200
    huge = beginning + "kitten violin " * 300_000
    assert np.array_equal(embedder.encode([huge]), embedder.encode([beginning]))


def test_leading_blanks_do_not_use_up_what_is_read(embedder: Embedder):
    assert np.array_equal(
        embedder.encode(["\n" * 100_000 + "connection pool"]), embedder.encode(["connection pool"])
    )


@given(st.lists(st.integers(2, 256), max_size=200), st.integers(1, 64))
def test_batches_hold_every_text_once_within_the_token_bound(lengths: list[int], batch_size: int):
    made = list(batches(lengths, batch_size))
    assert sorted(index for batch in made for index in batch) == list(range(len(lengths)))
    for batch in made:
        assert 1 <= len(batch) <= batch_size
        assert len(batch) == 1 or len(batch) * max(lengths[index] for index in batch) <= 512


def test_a_prepared_folder_is_whole(embedder_folder: Path, embedder: Embedder):
    assert is_prepared(embedder_folder)
    assert verify(embedder_folder) is None
    assert (embedder.model_id, embedder.max_tokens) == ("all-MiniLM-L6-v2/int8/53aa5117", 256)


def test_a_missing_folder_says_to_prepare(tmp_path: Path):
    assert not is_prepared(tmp_path / "none")
    with pytest.raises(ModelError, match="run `remanence prepare`"):
        Embedder.load(tmp_path / "none")


def test_a_missing_file_is_named(copy: Path):
    (copy / TOKENIZER).unlink()
    assert not is_prepared(copy)
    with pytest.raises(ModelError, match=r"tokenizer\.json is missing: run `remanence prepare --force`"):
        Embedder.load(copy)


def test_a_cut_off_model_is_refused_before_it_is_read(copy: Path):
    os.truncate(copy / MODEL, 1000)
    with pytest.raises(ModelError, match=r"model\.onnx has 1000 bytes"):
        Embedder.load(copy)


def test_a_flipped_byte_is_found_by_verify(copy: Path):
    with (copy / MODEL).open("r+b") as model:
        model.seek(20_000_000)
        byte = model.read(1)[0]
        model.seek(20_000_000)
        model.write(bytes([byte ^ 1]))
    assert is_prepared(copy)
    damage = verify(copy)
    assert damage is not None
    assert "model.onnx is not the file that was prepared" in damage


def test_a_model_of_noise_is_an_error_that_says_what_to_do(copy: Path):
    (copy / MODEL).write_bytes(b"\xff" * (copy / MODEL).stat().st_size)
    with pytest.raises(ModelError, match=r"cannot be loaded .*run `remanence prepare --force`"):
        Embedder.load(copy)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"model": 3}', b"\xff\xfe"])
def test_a_damaged_manifest_is_an_error_that_says_what_to_do(copy: Path, content: bytes):
    (copy / MANIFEST).write_bytes(content)
    assert not is_prepared(copy)
    with pytest.raises(ModelError, match=r"manifest .*run `remanence prepare --force`"):
        Embedder.load(copy)
    assert verify(copy) is not None


def test_prefixes_of_the_manifest_reach_the_model(copy: Path, embedder: Embedder):
    manifest = msgspec.structs.replace(
        read_manifest(copy), query_prefix="query: ", passage_prefix="passage: "
    )
    (copy / MANIFEST).write_bytes(msgspec.json.encode(manifest))
    prefixed = Embedder.load(copy)
    assert np.array_equal(prefixed.encode_query("pool"), embedder.encode_query("query: pool"))
    assert np.array_equal(prefixed.encode(["pool"]), embedder.encode(["passage: pool"]))


@given(st.text(max_size=300))
def test_folder_names_are_safe_on_every_file_system(model: str):
    name = folder_name(model)
    assert name
    assert len(name) <= 80
    assert set(name) <= set(string.ascii_letters + string.digits + "._-")
    assert not name.startswith((".", "-"))
    assert not name.endswith(".")


def test_folder_names_stay_readable_and_apart():
    assert folder_name("all-MiniLM-L6-v2") == "all-MiniLM-L6-v2"
    names = {
        folder_name(model) for model in ("org/model", "org-model", "org model", "/org/model", "org//model")
    }
    assert len(names) == 5
    assert all(name.startswith("org-model") for name in names)


def test_serving_loads_neither_torch_nor_transformers(embedder_folder: Path):
    script = (
        "import sys; from pathlib import Path; from remanence.models.embedder import Embedder; "
        "Embedder.load(Path(sys.argv[1])).encode_query('x'); "
        "print([name for name in ('torch', 'transformers', 'sentence_transformers') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, embedder_folder], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


def test_the_manifests_type_is_worked_out_before_any_thread_reads_one(embedder_folder: Path):
    """Two threads that did so at once crashed msgspec, and with it an engine at its start."""
    script = (
        "import sys; from pathlib import Path; from remanence.models import embedder_folder; called = set()\n"
        "sys.setprofile(lambda frame, event, argument: called.add(frame.f_code.co_name))\n"
        "embedder_folder.read_manifest(Path(sys.argv[1]))\n"
        "sys.setprofile(None)\n"
        "print('read_manifest' in called, 'get_class_annotations' in called)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, embedder_folder], capture_output=True, text=True, check=True
    )
    assert done.stdout == "True False\n"
