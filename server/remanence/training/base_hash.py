"""Which model a Hugging Face folder holds, told from its files in milliseconds, however large they are."""

from __future__ import annotations

import hashlib
from pathlib import Path

from remanence.training.base_model import BaseModelError

_HEADER_LIMIT = 100 * 2**20
_SAMPLES, _SAMPLE_BYTES = 16, 4096  # of each file's weights: two fine-tunes have the same header


def base_hash(folder: Path) -> str:
    """SHA-256 in hexadecimal over config.json, each weight file's size and header, and samples of it.

    Raises BaseModelError where these cannot be read.
    """
    digest = hashlib.sha256()
    try:
        digest.update((folder / "config.json").read_bytes())
        for path in sorted(folder.glob("*.safetensors")):
            size = path.stat().st_size
            digest.update(f"{path.name}\x1f{size}\x1f".encode())
            with path.open("rb") as file:
                first = file.read(8)
                length = int.from_bytes(first, "little")
                if length > min(_HEADER_LIMIT, size):
                    raise BaseModelError(f"{path.name} in {folder} is damaged or cut off: fetch it again.")
                digest.update(first + file.read(length))
                for sample in range(_SAMPLES):
                    file.seek(8 + length + (size - 8 - length) * sample // _SAMPLES)
                    digest.update(file.read(_SAMPLE_BYTES))
    except OSError as error:
        raise BaseModelError(f"The model in {folder} cannot be read: {error.strerror}.") from error
    return digest.hexdigest()
