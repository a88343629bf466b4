"""What a prepared model looks like on disk: one folder, described and sealed by its manifest.

Light on purpose (no onnxruntime, no tokenizers), so that a door may ask whether one is there.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import ClassVar, Literal, TypeVar

import msgspec
from msgspec import Struct
from msgspec.json import Decoder

MANIFEST = "manifest.json"
MODEL = "model.onnx"
TOKENIZER = "tokenizer.json"

_REMEDY = "run `remanence prepare --force`"
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


class ModelError(Exception):
    """A model cannot be prepared or used; the message says in words what to do."""


class SealedFile(Struct, frozen=True, kw_only=True):
    """One file of the folder: size in bytes and SHA-256 in hexadecimal."""

    name: str
    size: int
    sha256: str


class SealedManifest(Struct, frozen=True, kw_only=True):
    """What the manifest of every kind of model says.

    `model` is the name the user gave, `model_id` names the weights and how they are served. `note` says
    why `precision` is not int8 where it is not.
    """

    kind: ClassVar[str] = "model"

    model: str
    model_id: str
    max_tokens: int
    pad_id: int
    precision: Literal["int8", "fp32"]
    files: list[SealedFile]
    note: str = ""


M = TypeVar("M", bound=SealedManifest)


def folder_name(model: str) -> str:
    """The name of the folder a model is prepared in: readable, and safe on every file system.

    A name that had to be altered gets eight characters of its hash, so that two never collide.
    """
    readable = _UNSAFE.sub("-", model).strip("-.")[-64:].strip("-.")
    if readable and readable == model:
        return readable
    digest = hashlib.sha256(model.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{readable}-{digest}" if readable else digest


def read(folder: Path, decoder: Decoder[M]) -> M:
    """The manifest of a prepared folder whose files have their recorded sizes.

    `decoder` is made with its module: msgspec crashes where two threads decode a type for the first time
    at once. Raises ModelError when the model is not prepared or is damaged.
    """
    damage = size_damage(folder, decoder)
    if damage is not None:
        raise ModelError(damage)
    return _decode(folder, decoder)


def size_damage(folder: Path, decoder: Decoder[M]) -> str | None:
    """A sentence naming what is missing or has another size, or None (hashes are not read)."""
    if not (folder / MANIFEST).is_file():
        return f"No {decoder.type.kind} is prepared in {folder}: run `remanence prepare`."
    try:
        found = _decode(folder, decoder)
    except (msgspec.DecodeError, OSError) as error:
        return f"The manifest of {folder} cannot be read ({error}): {_REMEDY}."
    sealed = {file.name for file in found.files}
    for name in (MODEL, TOKENIZER):
        if name not in sealed:
            return f"The manifest of {folder} does not list {name}: {_REMEDY}."
    for file in found.files:
        path = folder / file.name
        try:
            size = path.stat().st_size
        except OSError:
            return f"{path} is missing: {_REMEDY}."
        if size != file.size:
            return f"{path} has {size} bytes where {file.size} were prepared: {_REMEDY}."
    return None


def damage(folder: Path, decoder: Decoder[M]) -> str | None:
    """A sentence naming the damage, or None where every file has its recorded SHA-256."""
    found = size_damage(folder, decoder)
    if found is not None:
        return found
    for file in _decode(folder, decoder).files:
        if sha256_of(folder / file.name) != file.sha256:
            return f"{folder / file.name} is not the file that was prepared: {_REMEDY}."
    return None


def cannot_load(folder: Path, kind: str, error: Exception) -> ModelError:
    """What is said of files that are whole and still cannot be loaded."""
    return ModelError(f"The {kind} in {folder} cannot be loaded ({error}): {_REMEDY}.")


def seal(file: Path) -> SealedFile:
    """Size and hash of a file just written."""
    return SealedFile(name=file.name, size=file.stat().st_size, sha256=sha256_of(file))


def sha256_of(file: Path) -> str:
    """SHA-256 of a file in hexadecimal, read in blocks."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _decode(folder: Path, decoder: Decoder[M]) -> M:
    return decoder.decode((folder / MANIFEST).read_bytes())
