"""What is wrong with a folder of a Hugging Face model, said before torch is imported or anything loaded."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec

from remanence.models.language_model import LanguageModelError

_TOKENIZERS = ("tokenizer.json", "tokenizer.model", "vocab.json", "spiece.model", "tekken.json")
_WRITES = re.compile("(ForCausalLM|LMHeadModel|ForConditionalGeneration)$")
_AGAIN = "fetch the whole model again"


class ModelConfig(msgspec.Struct, frozen=True):
    """What we read of config.json."""

    architectures: list[str] | None = None
    auto_map: dict[str, object] | None = None
    quantization_config: dict[str, object] | None = None


class _ShardIndex(msgspec.Struct, frozen=True):
    weight_map: dict[str, str] = {}


def check(folder: Path) -> ModelConfig:
    """The model's description. Raises LanguageModelError, with what to do, where a part is missing."""
    if not folder.is_dir():
        raise LanguageModelError(
            f"{folder} is no folder of a Hugging Face model: set `path` to one on this disk."
        )
    config = _config(folder)
    names = config.architectures or []
    if names and not any(_WRITES.search(name) for name in names):
        raise LanguageModelError(
            f"{folder} holds a {names[0]}, which does not write text: choose another model."
        )
    if config.auto_map and "AutoModelForCausalLM" in config.auto_map:
        raise LanguageModelError(
            f"{folder} runs code of its own, which Remanence never does: choose a model that transformers "
            "itself knows, or serve it with another program and set its `url`."
        )
    if not any((folder / name).is_file() for name in _TOKENIZERS):
        raise LanguageModelError(
            f"{folder} has no tokenizer (tokenizer.json): copy the tokenizer files of the same model into it."
        )
    _check_weights(folder)
    return config


def _config(folder: Path) -> ModelConfig:
    file = folder / "config.json"
    if not file.is_file():
        if (folder / "adapter_config.json").is_file():
            raise LanguageModelError(
                f"{folder} is a LoRA adapter and no model: set `path` to the model it was made for, "
                "and `adapter` to this folder."
            )
        raise LanguageModelError(f"{folder} has no config.json, so it is no Hugging Face model: {_AGAIN}.")
    try:
        return msgspec.json.decode(file.read_bytes(), type=ModelConfig)
    except (OSError, msgspec.DecodeError) as error:
        raise LanguageModelError(f"{file} cannot be read ({error}): {_AGAIN}.") from error


def _check_weights(folder: Path) -> None:
    for pattern, index in (
        ("*.safetensors", "model.safetensors.index.json"),
        ("pytorch_model*.bin", "pytorch_model.bin.index.json"),
    ):
        if (folder / index).is_file():
            missing = [name for name in _shards(folder / index) if not (folder / name).is_file()]
            if missing:
                raise LanguageModelError(f"{folder} lacks a part of its weights ({missing[0]}): {_AGAIN}.")
            return
        if any(folder.glob(pattern)):
            return
    if any(folder.glob("*.gguf")):
        raise LanguageModelError(f"{folder} holds a GGUF file: set `path` to that file itself.")
    raise LanguageModelError(f"{folder} has no weights (model.safetensors): {_AGAIN}.")


def _shards(index: Path) -> list[str]:
    try:
        found = msgspec.json.decode(index.read_bytes(), type=_ShardIndex)
    except (OSError, msgspec.DecodeError) as error:
        raise LanguageModelError(f"{index} cannot be read ({error}): {_AGAIN}.") from error
    return sorted(set(found.weight_map.values()))
