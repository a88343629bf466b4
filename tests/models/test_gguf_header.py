"""GGUF headers: real ones, cut and altered ones, and ones made to do harm."""

from __future__ import annotations

import contextlib
import os
import struct
import tracemalloc
from functools import cache
from pathlib import Path

import gguf
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tiny_llama
from remanence.models.gguf_header import GGUFHeader, read_header
from remanence.models.gguf_types import FILE_TYPES, TENSOR_TYPES
from remanence.models.language_model import LanguageModelError


@cache
def real() -> bytes:
    return tiny_llama.gguf("Q4_0").read_bytes()


@cache
def header_length() -> int:
    return int(gguf.GGUFReader(tiny_llama.gguf("Q4_0")).data_offset)


def read(path: Path, data: bytes, length: int | None = None) -> GGUFHeader:
    """The header of these bytes in a file, which may be longer than them: zeros that take no disk."""
    with path.open("wb") as file:
        file.write(data)
        if length is not None:
            os.truncate(file.fileno(), length)
    return read_header(path)


@pytest.mark.parametrize("quantisation", tiny_llama.QUANTISATIONS)
def test_a_file_says_what_it_is(quantisation: str) -> None:
    path = tiny_llama.gguf(quantisation)
    header = read_header(path)
    assert (header.kind, header.architecture, header.tokenizer) == ("model", "llama", "llama")
    assert header.quantisation == quantisation
    assert header.context == tiny_llama.CONTEXT
    assert header.size_bytes == path.stat().st_size
    assert header.tensors["blk.0.attn_q.weight"] == quantisation
    assert header.tensors["output_norm.weight"] == "F32"
    assert "<|im_start|>" in header.text("tokenizer.chat_template")
    assert not header.special


def test_it_reads_what_the_gguf_package_reads() -> None:
    path = tiny_llama.gguf_bpe()
    ours, theirs = read_header(path), gguf.GGUFReader(path)
    assert dict(ours.tensors) == {tensor.name: tensor.tensor_type.name for tensor in theirs.tensors}
    assert ours.tokenizer == "gpt2"
    for key, value in ours.metadata.items():
        assert value == theirs.fields[key].contents()


def test_special_tokens_are_read_where_they_are_asked_for() -> None:
    special = read_header(tiny_llama.gguf(), special=True).special
    names = [
        "<s>",
        "</s>",
        "<|im_start|>",
        "<|im_end|>",
        "<|fim_prefix|>",
        "<|fim_suffix|>",
        "<|fim_middle|>",
    ]
    assert special == {name: number for number, name in enumerate(names, 1)}


def test_an_adapter_says_that_it_is_one() -> None:
    assert read_header(tiny_llama.adapter_gguf()).kind == "adapter"


def test_our_tables_are_those_of_the_gguf_package() -> None:
    sizes = gguf.GGML_QUANT_SIZES
    types = {int(kind): (kind.name, *sizes[kind]) for kind in gguf.GGMLQuantizationType}
    assert types == TENSOR_TYPES
    named = {int(kind): kind.name for kind in gguf.LlamaFileType if kind.name != "GUESSED"}
    names = {number: name.split("_", 1)[1] for number, name in named.items()}
    assert names == FILE_TYPES


@settings(deadline=None)
@given(st.data())
def test_a_file_that_is_cut_off_anywhere_is_refused(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    length = data.draw(st.integers(0, len(real()) - 64) | st.integers(0, header_length()))
    with pytest.raises(LanguageModelError, match=r"cut off|empty|text file|no GGUF"):
        read(_scratch(tmp_path_factory), real()[:length])


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_an_altered_header_is_refused_or_read(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    altered = bytearray(real())
    # Mostly the numbers before the long lists of tokens, and the tensors after them.
    places = st.integers(0, 900) | st.integers(header_length() - 1400, header_length()) | st.integers(0, 9000)
    for place, value in data.draw(st.lists(st.tuples(places, st.integers(0, 255)), min_size=1, max_size=6)):
        altered[place] = value
    path = _scratch(tmp_path_factory)
    with contextlib.suppress(LanguageModelError):  # and nothing else
        assert read(path, bytes(altered)).architecture


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "is empty"),
        (b"GG", "no GGUF|text file"),
        (b"This is a note on models.\n", "is a text file"),
        (b"<!DOCTYPE html><html><title>Not found</title>", "is a web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git lfs pull"),
        (b"PK\x03\x04" + bytes(60), "archive"),
        (struct.pack("<Q", 90) + b'{"__metadata__":{"format":"pt"}}', "safetensors"),
        (b"lmgg" + bytes(60), "before GGUF"),
        (b"tjgg\x03" + bytes(60), "before GGUF"),
        (b"\x7fELF" + bytes(60), "no GGUF"),
        (b"GGUF" + struct.pack("<IQQ", 1, 0, 0), "first version"),
        (b"GGUF" + struct.pack(">IQQ", 3, 0, 0), "big-endian"),
        (b"GGUF" + struct.pack("<IQQ", 77, 0, 0), "newer"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 0), "architecture"),
    ],
)
def test_what_is_no_model_is_refused_in_words(tmp_path: Path, data: bytes, words: str) -> None:
    with pytest.raises(LanguageModelError, match=words):
        read(tmp_path / "file.gguf", data)


def test_a_missing_file_and_a_folder_are_refused_in_words(tmp_path: Path) -> None:
    with pytest.raises(LanguageModelError, match="There is no model file"):
        read_header(tmp_path / "nothing.gguf")
    with pytest.raises(LanguageModelError, match="is a folder"):
        read_header(tmp_path)


def _text(value: bytes) -> bytes:
    return struct.pack("<Q", len(value)) + value


HUGE = 1 << 40
HARMFUL = {
    "keys without end": struct.pack("<IQQ", 3, 0, HUGE),
    "tensors without end": struct.pack("<IQQ", 3, HUGE, 0),
    "a text of a terabyte": struct.pack("<IQQQ", 3, 0, 1, HUGE),
    "texts without end": struct.pack("<IQQ", 3, 0, 1) + _text(b"k") + struct.pack("<IIQ", 9, 8, HUGE // 8),
    "many lists of texts": (
        struct.pack("<IQQ", 3, 0, 9999)
        + b"".join(_text(b"k%d" % i) + struct.pack("<IIQ", 9, 8, 1) + _text(b"") for i in range(9))
        + _text(b"k")
        + struct.pack("<IIQ", 9, 8, (1 << 21) - 8)
    ),
    "numbers without end": struct.pack("<IQQ", 3, 0, 1) + _text(b"k") + struct.pack("<IIQ", 9, 12, 1 << 61),
    "a list of lists": struct.pack("<IQQ", 3, 0, 1) + _text(b"k") + struct.pack("<IIQ", 9, 9, 1),
    "a tensor of more than there is": (
        struct.pack("<IQQ", 3, 1, 0) + _text(b"t") + struct.pack("<I4QIQ", 4, *[1 << 62] * 4, 0, 0)
    ),
    "a tensor of many dimensions": struct.pack("<IQQ", 3, 1, 0) + _text(b"t") + struct.pack("<I", 1 << 31),
}


@pytest.mark.parametrize("harm", HARMFUL)
def test_a_harmful_header_is_refused_in_little_memory(tmp_path: Path, harm: str) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(LanguageModelError, match=r"damaged|cut off"):
            read(tmp_path / "harmful.gguf", b"GGUF" + HARMFUL[harm], length=HUGE)
        assert tracemalloc.get_traced_memory()[1] < 32e6
    finally:
        tracemalloc.stop()


def test_a_type_of_tensor_that_we_do_not_know_is_named_by_its_number(tmp_path: Path) -> None:
    data = bytearray(real())
    place = data.index(b"blk.0.attn_q.weight") + len(b"blk.0.attn_q.weight") + 4 + 16
    data[place : place + 4] = struct.pack("<I", 57)
    assert read(tmp_path / "new.gguf", bytes(data)).tensors["blk.0.attn_q.weight"] == "type 57"


def _scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.getbasetemp() / "altered.gguf"
