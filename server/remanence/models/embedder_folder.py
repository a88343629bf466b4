"""What a prepared embedder looks like on disk: one folder, described and sealed by its manifest.

Light on purpose (no onnxruntime, no tokenizers), so that a door may ask whether one is there.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct

MANIFEST = "manifest.json"
MODEL = "model.onnx"
TOKENIZER = "tokenizer.json"

_REMEDY = "run `remanence prepare --force`"
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


class EmbedderError(Exception):
    """The embedder cannot be prepared or used; the message says in words what to do."""


class SealedFile(Struct, frozen=True, kw_only=True):
    """One file of the folder: size in bytes and SHA-256 in hexadecimal."""

    name: str
    size: int
    sha256: str


class Fidelity(Struct, frozen=True, kw_only=True):
    """Cosine between the served vectors and the original model's, over texts of several lengths."""

    minimum: float
    mean: float
    token_lengths: list[int]


class Manifest(Struct, frozen=True, kw_only=True):
    """What `Embedder.load` needs to know. The graph pools; the embedder brings vectors to unit norm.

    `model` is the name the user gave, `model_id` the key its vectors are stored under. `pooling` is
    recorded for the reader only, and `note` says why `precision` is not int8 where it is not.
    """

    model: str
    model_id: str
    dimensions: int
    max_tokens: int
    pad_id: int
    pooling: str
    query_prefix: str
    passage_prefix: str
    precision: Literal["int8", "fp32"]
    fidelity: Fidelity
    files: list[SealedFile]
    note: str = ""


def folder_name(model: str) -> str:
    """The name of the folder a model is prepared in: readable, and safe on every file system.

    A name that had to be altered gets eight characters of its hash, so that two never collide.
    """
    readable = _UNSAFE.sub("-", model).strip("-.")[-64:].strip("-.")
    if readable and readable == model:
        return readable
    digest = hashlib.sha256(model.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{readable}-{digest}" if readable else digest


def is_prepared(folder: Path) -> bool:
    """Whether `folder` holds an embedder whose files have their recorded sizes (hashes are not read)."""
    return _size_damage(folder) is None


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a prepared folder whose files have their recorded sizes.

    Raises EmbedderError when it is not prepared or is damaged.
    """
    damage = _size_damage(folder)
    if damage is not None:
        raise EmbedderError(damage)
    return _decode(folder)


def verify(folder: Path) -> str | None:
    """A sentence naming the damage, or None where every file has its recorded SHA-256."""
    damage = _size_damage(folder)
    if damage is not None:
        return damage
    for file in _decode(folder).files:
        if sha256_of(folder / file.name) != file.sha256:
            return f"{folder / file.name} is not the file that was prepared: {_REMEDY}."
    return None


def seal(file: Path) -> SealedFile:
    """Size and hash of a file just written."""
    return SealedFile(name=file.name, size=file.stat().st_size, sha256=sha256_of(file))


def sha256_of(file: Path) -> str:
    """SHA-256 of a file in hexadecimal, read in blocks."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _decode(folder: Path) -> Manifest:
    return msgspec.json.decode((folder / MANIFEST).read_bytes(), type=Manifest)


def _size_damage(folder: Path) -> str | None:
    if not (folder / MANIFEST).is_file():
        return f"No embedder is prepared in {folder}: run `remanence prepare`."
    try:
        manifest = _decode(folder)
    except (msgspec.DecodeError, OSError) as error:
        return f"The manifest of {folder} cannot be read ({error}): {_REMEDY}."
    sealed = {file.name for file in manifest.files}
    for name in (MODEL, TOKENIZER):
        if name not in sealed:
            return f"The manifest of {folder} does not list {name}: {_REMEDY}."
    for file in manifest.files:
        path = folder / file.name
        try:
            size = path.stat().st_size
        except OSError:
            return f"{path} is missing: {_REMEDY}."
        if size != file.size:
            return f"{path} has {size} bytes where {file.size} were prepared: {_REMEDY}."
    return None
