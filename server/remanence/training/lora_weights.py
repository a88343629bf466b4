"""A PEFT adapter as plain matrices under the names that GGUF gives them."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import gguf
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

# transformers pairs the halves of a rotated head, ggml neighbouring rows
_PERMUTED = ("LlamaForCausalLM", "MistralForCausalLM")
_ARCHITECTURES = {
    "LlamaForCausalLM": gguf.MODEL_ARCH.LLAMA,
    "MistralForCausalLM": gguf.MODEL_ARCH.LLAMA,
    "Qwen2ForCausalLM": gguf.MODEL_ARCH.QWEN2,
    "Qwen3ForCausalLM": gguf.MODEL_ARCH.QWEN3,
    "GemmaForCausalLM": gguf.MODEL_ARCH.GEMMA,
    "Gemma2ForCausalLM": gguf.MODEL_ARCH.GEMMA2,
    "PhiForCausalLM": gguf.MODEL_ARCH.PHI2,
}
_SIDE = re.compile(r"\.lora_([AB])(?:\.default)?\.weight$")


class ExportError(Exception):
    """An adapter cannot be exported; the message says why, in words."""


@dataclass(frozen=True, slots=True)
class LoraPair:
    """`name` is the base tensor's in GGUF; `a` is (rank, in), `b` (out, rank) with ggml's order of rows."""

    name: str
    a: Floats
    b: Floats

    def delta(self, scale: float) -> Floats:
        """What it adds to the base tensor: (out, in)."""
        return np.float32(scale) * (self.b @ self.a)


@dataclass(frozen=True, slots=True)
class LoraWeights:
    """An adapter's matrices. `alpha` is as llama.cpp divides it by the rank."""

    architecture: str
    rank: int
    alpha: float
    pairs: tuple[LoraPair, ...]

    @property
    def scale(self) -> float:
        return self.alpha / self.rank


def read_lora(adapter: Path, base: Path) -> LoraWeights:
    """The adapter in this PEFT folder, for the Hugging Face model in `base`. Raises ExportError in words."""
    settings, config = _read_json(adapter / "adapter_config.json"), _read_json(base / "config.json")
    _refuse_what_gguf_cannot_say(settings)
    kind = str((cast(list[Any], config.get("architectures")) or ["?"])[0])
    if kind not in _ARCHITECTURES:
        raise ExportError(f"A {kind} cannot be exported yet: it can be {', '.join(_ARCHITECTURES)}.")
    layers, heads = int(config["num_hidden_layers"]), int(config["num_attention_heads"])
    heads_kv = int(config.get("num_key_value_heads") or heads)
    names = gguf.get_tensor_name_map(_ARCHITECTURES[kind], layers)
    sides: dict[str, dict[str, Floats]] = {}
    for name, tensor in _tensors(adapter / "adapter_model.safetensors"):
        side = _SIDE.search(name)
        if side is None:
            raise ExportError(f"The adapter holds {name}, which is no LoRA matrix.")
        inner = name[: side.start()].removeprefix("base_model.model.")
        known = names.get_name(inner + ".weight", try_suffixes=(".weight",))
        if known is None:
            raise ExportError(f"GGUF has no name for the layer {inner}.")
        if side[1] == "B" and kind in _PERMUTED:
            tensor = _as_ggml_rotates(tensor, inner, heads, heads_kv)
        sides.setdefault(known, {})[side[1]] = tensor
    incomplete = [name for name, each in sides.items() if set(each) != {"A", "B"}]
    if incomplete or not sides:
        raise ExportError(f"The adapter in {adapter} is not whole.")
    rank = int(settings["r"])
    alpha = float(settings["lora_alpha"]) * (math.sqrt(rank) if settings.get("use_rslora") else 1.0)
    pairs = tuple(LoraPair(name, sides[name]["A"], sides[name]["B"]) for name in sorted(sides))
    return LoraWeights(gguf.MODEL_ARCH_NAMES[_ARCHITECTURES[kind]], rank, alpha, pairs)


def _refuse_what_gguf_cannot_say(settings: Mapping[str, Any]) -> None:
    for field, said in (
        ("use_dora", "DoRA"),
        ("modules_to_save", "fully trained modules"),
        ("rank_pattern", "ranks of their own for some layers"),
        ("alpha_pattern", "scales of their own for some layers"),
        ("lora_bias", "biases"),
    ):
        if settings.get(field):
            raise ExportError(f"The adapter has {said}: GGUF cannot say that. Train it without {field}.")


def _as_ggml_rotates(tensor: Floats, name: str, heads: int, heads_kv: int) -> Floats:
    """Rows of a query's or a key's matrix in ggml's order (llama.cpp's `permute`)."""
    if not name.endswith(("q_proj", "k_proj")):
        return tensor
    count = heads if name.endswith("q_proj") else heads_kv
    rows = tensor.shape[0]
    split = tensor.reshape(count, 2, rows // count // 2, *tensor.shape[1:])
    return np.ascontiguousarray(split.swapaxes(1, 2).reshape(tensor.shape))


def _tensors(path: Path) -> Iterator[tuple[str, Floats]]:
    """Every matrix as float32; bfloat16, which numpy does not know, by its upper halves."""
    try:
        data = path.read_bytes()
        length = int.from_bytes(data[:8], "little")
        header = cast(dict[str, dict[str, Any]], json.loads(data[8 : 8 + length]))
    except (OSError, ValueError) as error:
        raise ExportError(f"{path} cannot be read: {error}") from error
    for name, told in header.items():
        if name == "__metadata__":
            continue
        start, end = (8 + length + int(offset) for offset in told["data_offsets"])
        raw = data[start:end]
        kind = told["dtype"]
        if kind == "BF16":
            flat = (np.frombuffer(raw, dtype="<u2").astype(np.uint32) << 16).view(np.float32)
        elif kind in ("F32", "F16"):
            flat = np.frombuffer(raw, dtype="<f4" if kind == "F32" else "<f2").astype(np.float32)
        else:
            raise ExportError(f"{path.name} holds {name} as {kind}, which no adapter should.")
        yield name, flat.reshape(told["shape"])


def _read_json(path: Path) -> dict[str, Any]:
    try:
        return cast(dict[str, Any], json.loads(path.read_bytes()))
    except (OSError, ValueError) as error:
        raise ExportError(f"{path} cannot be read: {error}") from error
