"""What a GGUF file says of itself, read and checked without loading it.

The file may be cut off, no GGUF at all, or made to do harm: every count and length is held against what is
left of the file and against a bound, so that reading takes a moment and little memory whatever it says.
"""

from __future__ import annotations

import math
import os
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from remanence.models.gguf_types import FILE_TYPES, TENSOR_TYPES
from remanence.models.language_model import LanguageModelError

Scalar = str | int | float | bool

TOKENS, TOKEN_TYPES = "tokenizer.ggml.tokens", "tokenizer.ggml.token_type"

_MAGIC = b"GGUF"
_MOST_KEYS, _MOST_TENSORS = 20_000, 200_000
_LONGEST_NAME, _LONGEST_TEXT = 1 << 16, 1 << 24
_MOST_TEXTS = 1 << 21  # the largest vocabularies have 262,144 tokens and twice as many merges
_MOST_KEPT = 1 << 25
_LONGEST_HEADER = 1 << 28
_CUT_OFF = "is cut off within its header: fetch it again"
_TYPE_TEXT, _TYPE_ARRAY = 8, 9
_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_INT32 = 5
# How other files that are taken for GGUF begin, and what to do with them.
_OTHERS = (
    (b"FUGG", "is a GGUF for big-endian machines: take the ordinary file"),
    (b"lmgg", "is of the GGML formats before GGUF: take a GGUF file of the model"),
    (b"tjgg", "is of the GGML formats before GGUF: take a GGUF file of the model"),
    (b"fmgg", "is of the GGML formats before GGUF: take a GGUF file of the model"),
    (b"version https://git-lfs", "is a Git LFS pointer, not the model: run `git lfs pull` in its repository"),
    (b"PK\x03\x04", "is a PyTorch or zip archive, not a GGUF file"),
    (b"\x80\x02", "is a Python pickle, not a GGUF file"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class GGUFHeader:
    """What the file says. `kind` is "model", "adapter" or "mmproj"; `context` 0 where it says none.

    `metadata` has every value but the arrays. `tensors` has each tensor's type by name; a type that we do
    not know is "type 57". `special` has the control tokens and those the user defined, by text, where they
    were asked for.
    """

    size_bytes: int
    version: int
    kind: str
    architecture: str
    context: int
    tokenizer: str
    quantisation: str
    metadata: Mapping[str, Scalar]
    tensors: Mapping[str, str]
    special: Mapping[str, int]

    def text(self, key: str) -> str:
        """A text of the metadata; empty where there is none, or something else."""
        value = self.metadata.get(key)
        return value if isinstance(value, str) else ""

    def number(self, key: str, default: int) -> int:
        """A whole number of the metadata, or `default`."""
        value = self.metadata.get(key)
        return value if isinstance(value, int) and not isinstance(value, bool) else default

    def flag(self, key: str, default: bool) -> bool:
        """A truth value of the metadata, or `default`."""
        value = self.metadata.get(key)
        return value if isinstance(value, bool) else default


class _Damaged(Exception):
    """Why the file is no readable GGUF."""


def read_header(path: Path, special: bool = False) -> GGUFHeader:
    """The header of the GGUF file at `path`, and, if asked, its special tokens.

    Raises LanguageModelError, in words, where there is no such file, it is something else, it is damaged,
    or shorter than its tensors are.
    """
    if path.exists() and not path.is_file() and not path.is_dir():
        raise LanguageModelError(f"{path} is no file.")
    try:
        with path.open("rb") as file:
            return _read(_Reader(file, os.fstat(file.fileno()).st_size), special)
    except (FileNotFoundError, ValueError):  # a name with a NUL in it is a ValueError
        raise LanguageModelError(f"There is no model file {path}.") from None
    except IsADirectoryError:
        raise LanguageModelError(f"{path} is a folder, not a GGUF file.") from None
    except OSError as error:
        raise LanguageModelError(f"The model file {path} cannot be read: {error.strerror}.") from error
    except _Damaged as reason:
        raise LanguageModelError(f"{path.name} {reason}.") from None


class _Reader:
    """The file, read from front to back; whatever is not there, or cannot be so, raises _Damaged."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file = file
        self.size = size
        self.at = 0
        self._kept = 0
        self._texts = 0

    @property
    def left(self) -> int:
        return self.size - self.at

    def beginning(self) -> bytes:
        """The first bytes, which are still to be taken."""
        begin = self._file.read(64)
        self._file.seek(0)
        return begin

    def take(self, count: int) -> bytes:
        self._pass(count)
        data = self._file.read(count)
        if len(data) != count:
            raise _Damaged(_CUT_OFF)
        return data

    def number(self, kind: str) -> int:
        return int(struct.unpack(f"<{kind}", self.take(struct.calcsize(kind)))[0])

    def length(self, longest: int) -> int:
        length = self.number("Q")
        if length > longest:
            raise _Damaged("is damaged: its header has a text of impossible length")
        return length

    def text(self, longest: int = _LONGEST_TEXT) -> str:
        length = self.length(longest)
        self._kept += length
        if self._kept > _MOST_KEPT:
            raise _Damaged("is damaged: its header has too much text")
        try:
            return self.take(length).decode()
        except UnicodeDecodeError:
            raise _Damaged("is damaged: its header has a text that is none") from None

    def texts(self, count: int, keep: bool) -> list[bytes]:
        self._texts += count
        if self._texts > _MOST_TEXTS:
            raise _Damaged("is damaged: its header has an impossible number of texts")
        if count > self.left // 8:
            raise _Damaged(_CUT_OFF)
        kept: list[bytes] = []
        read = self._file.read
        for _ in range(count):  # there are hundreds of thousands, and somebody waits
            length = int.from_bytes(read(8), "little")
            self._pass(8 + min(length, _LONGEST_NAME + 1))
            if length > _LONGEST_NAME:
                raise _Damaged("is damaged: its header has a text of impossible length")
            text = read(length)
            if keep:
                kept.append(text)
        return kept

    def skip(self, count: int) -> None:
        self._pass(count)
        self._file.seek(count, os.SEEK_CUR)

    def _pass(self, count: int) -> None:
        if count > self.left:
            raise _Damaged(_CUT_OFF)
        self.at += count
        if self.at > _LONGEST_HEADER:
            raise _Damaged("is damaged: its header is impossibly long")


def _read(reader: _Reader, special: bool) -> GGUFHeader:
    version = _version(reader)
    tensor_count, key_count = reader.number("Q"), reader.number("Q")
    if tensor_count > _MOST_TENSORS or key_count > _MOST_KEYS:
        raise _Damaged("is damaged: its header has an impossible number of entries")
    metadata: dict[str, Scalar] = {}
    tokens: list[bytes] = []
    kinds: tuple[int, ...] = ()
    for _ in range(key_count):
        key, kind = reader.text(_LONGEST_NAME), reader.number("I")
        if kind != _TYPE_ARRAY:
            metadata[key] = _scalar(reader, kind)
            continue
        item, count = reader.number("I"), reader.number("Q")
        if item == _TYPE_TEXT:
            found = reader.texts(count, keep=special and key == TOKENS)
            tokens = found or tokens
        elif special and key == TOKEN_TYPES and item == _INT32 and count <= _MOST_TEXTS:
            kinds = struct.unpack(f"<{count}i", reader.take(4 * count))
        elif item in _SCALARS:
            reader.skip(count * struct.calcsize(_SCALARS[item]))
        else:
            raise _Damaged("is damaged: its header has a list of an unknown kind")
    tensors, sizes = _tensors(reader, tensor_count, metadata)
    architecture = metadata.get("general.architecture")
    if not isinstance(architecture, str) or not architecture:
        raise _Damaged("is damaged: its header does not say which architecture it is")
    context = metadata.get(f"{architecture}.context_length")
    tokenizer = metadata.get("tokenizer.ggml.model")
    stated_kind = metadata.get("general.type")
    return GGUFHeader(
        size_bytes=reader.size,
        version=version,
        kind=stated_kind if isinstance(stated_kind, str) else "model",
        architecture=architecture,
        context=context if isinstance(context, int) and 0 < context < 1 << 31 else 0,
        tokenizer=tokenizer if isinstance(tokenizer, str) else "",
        quantisation=_quantisation(metadata, sizes),
        metadata=metadata,
        tensors=tensors,
        special=_special(tokens, kinds),
    )


def _version(reader: _Reader) -> int:
    begin = reader.beginning()
    if not begin:
        raise _Damaged("is empty: fetch it again")
    if begin[:4] != _MAGIC:
        for magic, what in _OTHERS:
            if begin.startswith(magic):
                raise _Damaged(what)
        if begin.lstrip()[:1] == b"<":
            raise _Damaged("is a web page, not a model: fetch the model file itself")
        if begin[8:9] == b"{":
            raise _Damaged("is a safetensors file: give the folder it is in, with its tokenizer and config")
        what = "a text file" if _is_text(begin) else "no GGUF file"
        raise _Damaged(f"is {what}: a model is a GGUF file or a Hugging Face folder")
    reader.skip(len(_MAGIC))
    version = reader.number("I")
    if version in (2, 3):
        return version
    if version == 1:
        raise _Damaged("is of the first version of GGUF, which no backend reads any more: take a newer file")
    if version & 0xFFFF == 0:
        raise _Damaged("is a GGUF for big-endian machines: take the ordinary file")
    raise _Damaged(f"is of version {version} of GGUF, which is newer than Remanence knows, or damaged")


def _is_text(begin: bytes) -> bool:
    return all(byte >= 32 or byte in b"\t\r\n\f" for byte in begin)


def _scalar(reader: _Reader, kind: int) -> Scalar:
    if kind == _TYPE_TEXT:
        return reader.text()
    if kind not in _SCALARS:
        raise _Damaged("is damaged: its header has a value of an unknown kind")
    code = _SCALARS[kind]
    value: Scalar = struct.unpack(f"<{code}", reader.take(struct.calcsize(code)))[0]
    return value


def _tensors(
    reader: _Reader, count: int, metadata: Mapping[str, Scalar]
) -> tuple[dict[str, str], dict[str, int]]:
    """The type of each tensor by name, and how many bytes each type takes; all of them within the file."""
    if count > reader.left // 24:
        raise _Damaged(_CUT_OFF)
    types: dict[str, str] = {}
    sizes: dict[str, int] = {}
    furthest = 0
    for _ in range(count):
        name, dimensions = reader.text(_LONGEST_NAME), reader.number("I")
        if not 1 <= dimensions <= 4 or name in types:
            raise _Damaged("is damaged: its list of tensors makes no sense")
        shape = struct.unpack(f"<{dimensions}Q", reader.take(8 * dimensions))
        kind, offset = reader.number("I"), reader.number("Q")
        known, block, block_bytes = TENSOR_TYPES.get(kind, (f"type {kind}", 1, 0))
        if shape[0] % block or (size := math.prod(shape) // block * block_bytes) >= 1 << 63:
            raise _Damaged("is damaged: its list of tensors makes no sense")
        types[name] = known
        sizes[known] = sizes.get(known, 0) + size
        furthest = max(furthest, offset + size)
    alignment = metadata.get("general.alignment", 32)
    if not isinstance(alignment, int) or not 1 <= alignment <= 1 << 20 or alignment & (alignment - 1):
        raise _Damaged("is damaged: its alignment makes no sense")
    needed = -(-reader.at // alignment) * alignment + furthest
    if types and needed > reader.size:
        there, whole = (f"{amount / 1e6:,.1f} MB" for amount in (reader.size, needed))
        raise _Damaged(f"is cut off: {there} of {whole} are there; fetch it again")
    return types, sizes


def _quantisation(metadata: Mapping[str, Scalar], sizes: Mapping[str, int]) -> str:
    """By name, as the file says; else the type that most of its bytes are of."""
    stated = metadata.get("general.file_type")
    if isinstance(stated, int) and stated in FILE_TYPES:
        return FILE_TYPES[stated]
    return max(sizes, key=sizes.__getitem__) if sizes else ""


def _special(tokens: list[bytes], kinds: tuple[int, ...]) -> dict[str, int]:
    """Control tokens, and those the user defined."""
    return {
        text.decode(errors="replace"): number
        for number, (text, kind) in enumerate(zip(tokens, kinds, strict=False))
        if kind in (3, 4) and text
    }
