"""Which backend a model goes to, and in which words what none can run is refused."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest

import tiny_llama
from remanence.models.choosing import choose_backend
from remanence.models.language_model import LanguageModelError


def small_gguf(
    path: Path,
    architecture: str = "llama",
    tokenizer: str = "llama",
    kind: gguf.GGMLQuantizationType = gguf.GGMLQuantizationType.F32,
    tensors: tuple[str, ...] = ("token_embd.weight", "output.weight"),
    **metadata: Any,
) -> Path:
    """A file with a header of this kind and almost nothing else; two underscores stand for a key's dot."""
    writer = gguf.GGUFWriter(path, architecture)
    if tokenizer:
        writer.add_tokenizer_model(tokenizer)
    for key, value in metadata.items():
        name = key.replace("__", ".")
        if isinstance(value, bool):
            writer.add_bool(name, value)
        elif isinstance(value, int):
            writer.add_uint32(name, value)
        else:
            writer.add_string(name, value)
    numbers = np.zeros((1, 256), dtype=np.float32)
    for name in tensors:
        if kind == gguf.GGMLQuantizationType.F32:
            writer.add_tensor(name, numbers)
        else:
            block, size = gguf.GGML_QUANT_SIZES[kind]
            writer.add_tensor(name, np.zeros((1, 256 // block * size), dtype=np.uint8), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


@pytest.fixture
def without_llama_cpp(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "llama_cpp", None)  # as if it were not installed


@pytest.mark.parametrize("quantisation", tiny_llama.QUANTISATIONS)
def test_a_first_llama_goes_to_llama_cpp_where_it_is(quantisation: str) -> None:
    chosen = choose_backend(tiny_llama.gguf(quantisation))
    assert (chosen.backend, chosen.architecture) == ("llama_cpp", "llama")
    assert chosen.quantisation == quantisation
    assert chosen.context == tiny_llama.CONTEXT
    assert chosen.size_bytes == tiny_llama.gguf(quantisation).stat().st_size


@pytest.mark.usefixtures("without_llama_cpp")
def test_a_first_llama_goes_to_ctransformers_where_llama_cpp_is_not() -> None:
    for quantisation in tiny_llama.QUANTISATIONS:
        assert choose_backend(tiny_llama.gguf(quantisation)).backend == "ctransformers"


@pytest.mark.parametrize("wanted", ["ctransformers", "llama_cpp"])
def test_the_backend_that_is_wanted_is_taken_where_it_can(wanted: str) -> None:
    assert choose_backend(tiny_llama.gguf(), wanted).backend == wanted


NEWER: dict[str, dict[str, Any]] = {
    "tokenizer": {"tokenizer": "gpt2"},
    "qwen3": {"architecture": "qwen3", "tokenizer": "gpt2"},
    "phi3": {"architecture": "phi3"},
    "quantisation IQ4_XS": {"kind": gguf.GGMLQuantizationType.IQ4_XS},
    "quantisation BF16": {"kind": gguf.GGMLQuantizationType.BF16},
    "tied": {"tensors": ("token_embd.weight",)},
    "newer kind of Llama": {"tensors": ("token_embd.weight", "output.weight", "rope_freqs.weight")},
    "newer kind of Llama.": {"llama__rope__scaling__type": "yarn"},
    "newer kind of Llama..": {
        "tensors": ("token_embd.weight", "output.weight", "blk.0.ffn_gate_exps.weight"),
    },
    "does not know its tokenizer": {"tokenizer__ggml__add_space_prefix": False},
}


@pytest.mark.usefixtures("without_llama_cpp")
@pytest.mark.parametrize("why", NEWER)
def test_a_newer_file_needs_llama_cpp_and_says_how_to_get_it_and_why(tmp_path: Path, why: str) -> None:
    path = small_gguf(tmp_path / "new.gguf", **NEWER[why])
    with pytest.raises(LanguageModelError) as refused:
        choose_backend(path)
    assert "pip install 'remanence[llama]'" in str(refused.value)
    assert why.rstrip(".") in str(refused.value)
    with pytest.raises(LanguageModelError, match=r"is not for ctransformers.*Set backend to llama_cpp"):
        choose_backend(path, "ctransformers")


@pytest.mark.parametrize("why", NEWER)
def test_a_newer_file_goes_to_llama_cpp_where_it_is(tmp_path: Path, why: str) -> None:
    assert choose_backend(small_gguf(tmp_path / "new.gguf", **NEWER[why])).backend == "llama_cpp"


@pytest.mark.usefixtures("without_llama_cpp")
def test_an_adapter_needs_llama_cpp() -> None:
    with pytest.raises(LanguageModelError, match=r"cannot apply an adapter.*remanence\[llama\]"):
        choose_backend(tiny_llama.gguf(), adapter=True)


@pytest.mark.usefixtures("without_llama_cpp")
def test_a_backend_that_is_wanted_and_not_installed_is_refused_with_how_to_get_it() -> None:
    with pytest.raises(LanguageModelError, match=r"needs llama_cpp.*pip install 'remanence\[llama\]'"):
        choose_backend(tiny_llama.gguf(), "llama_cpp")


def test_a_wanted_backend_that_cannot_run_the_file_is_refused_with_one_that_can() -> None:
    for wanted, path, able in (
        ("transformers", tiny_llama.gguf(), "llama_cpp"),
        ("ctransformers", tiny_llama.gguf_bpe(), "llama_cpp"),
        ("ctransformers", tiny_llama.folder(), "transformers"),
        ("llama_cpp", tiny_llama.folder(), "transformers"),
    ):
        with pytest.raises(LanguageModelError, match=f"{wanted}.*Set backend to {able}"):
            choose_backend(path, wanted)
    with pytest.raises(LanguageModelError, match="no backend 'nonsense'"):
        choose_backend(tiny_llama.gguf(), "nonsense")


@pytest.mark.parametrize(
    ("file", "words"),
    [
        ({"architecture": "future9"}, "'future9'.*newer server"),
        ({"architecture": "bert"}, "'bert' is none that llama.cpp writes text with"),
        ({"architecture": "clip"}, "'clip' is none"),
        ({"tokenizer": ""}, "no tokenizer"),
        ({"tensors": ()}, "no weights"),
        ({"general__type": "adapter"}, "is an adapter, not a model"),
        ({"split__count": 3, "split__no": 1}, "give the first"),
    ],
)
def test_a_file_that_nothing_can_run_is_refused_in_words(
    tmp_path: Path, file: dict[str, Any], words: str
) -> None:
    with pytest.raises(LanguageModelError, match=words):
        choose_backend(small_gguf(tmp_path / "odd.gguf", **file))


def test_a_model_in_parts_is_as_large_as_all_of_them_and_has_to_be_whole(tmp_path: Path) -> None:
    first, second = (
        small_gguf(tmp_path / f"m-0000{i + 1}-of-00002.gguf", split__count=2, split__no=i) for i in range(2)
    )
    assert choose_backend(first).size_bytes == first.stat().st_size + second.stat().st_size
    second.unlink()
    with pytest.raises(LanguageModelError, match=r"m-00002-of-00002\.gguf is missing"):
        choose_backend(first)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the tiny model's folder."""
    return Path(shutil.copytree(tiny_llama.folder(), tmp_path / "model"))


def test_a_hugging_face_folder_goes_to_transformers(folder: Path) -> None:
    chosen = choose_backend(folder)
    assert (chosen.backend, chosen.architecture) == ("transformers", "llama")
    assert chosen.quantisation == "float32"
    assert chosen.context == tiny_llama.CONTEXT
    assert chosen.size_bytes == (folder / "model.safetensors").stat().st_size


def test_a_folder_without_a_tokenizer_is_refused(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()
    with pytest.raises(LanguageModelError, match=r"has no tokenizer: fetch its tokenizer\.json"):
        choose_backend(folder)


def test_a_folder_without_weights_or_with_pickled_ones_is_refused(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    with pytest.raises(LanguageModelError, match="has no safetensors file"):
        choose_backend(folder)
    (folder / "pytorch_model.bin").write_bytes(b"\x80\x02")
    with pytest.raises(LanguageModelError, match="may run any code"):
        choose_backend(folder)


def test_a_folder_whose_weights_are_cut_off_or_no_weights_is_refused(folder: Path) -> None:
    weights = folder / "model.safetensors"
    whole = weights.read_bytes()
    for length in (len(whole) - 1, len(whole) // 2, 300, 8, 5, 0):
        weights.write_bytes(whole[:length])
        with pytest.raises(LanguageModelError, match=r"model\.safetensors is (damaged|cut off)"):
            choose_backend(folder)
    for other in (
        b"\xff" * 400,
        b"not found",
        *map(_safetensors, (b"[1, 2]", b"{}", b'{"a":{"data_offsets":[]}}')),
    ):
        weights.write_bytes(other)
        with pytest.raises(LanguageModelError, match=r"model\.safetensors is (damaged|cut off)"):
            choose_backend(folder)


def _safetensors(header: bytes) -> bytes:
    return len(header).to_bytes(8, "little") + header + bytes(90)


def test_a_folder_of_several_files_has_to_be_whole(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "model-00001-of-00002.safetensors")
    files = {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": files}))
    with pytest.raises(LanguageModelError, match=r"model-00002-of-00002\.safetensors is missing"):
        choose_backend(folder)


@pytest.mark.parametrize("config", ["", "[]", "{", '{"model_type": 3}', "\x00", "[" * 100_000])
def test_a_folder_with_a_damaged_config_is_refused(folder: Path, config: str) -> None:
    (folder / "config.json").write_text(config)
    with pytest.raises(LanguageModelError, match=r"config\.json"):
        choose_backend(folder)


def test_a_folder_that_is_no_model_says_what_it_is(tmp_path: Path) -> None:
    with pytest.raises(LanguageModelError, match=r"no config\.json"):
        choose_backend(tmp_path)
    with pytest.raises(LanguageModelError, match="is an adapter"):
        choose_backend(tiny_llama.adapter())
    (tmp_path / "some.gguf").write_bytes(b"")
    with pytest.raises(LanguageModelError, match=r"such as some\.gguf"):
        choose_backend(tmp_path)


def test_what_is_no_file_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.gguf")
    for path in (tmp_path / "pipe.gguf", tmp_path / "nul\0.gguf", tmp_path / "none.gguf", Path("/dev/zero")):
        with pytest.raises(LanguageModelError, match=r"model file|no file"):
            choose_backend(path)
