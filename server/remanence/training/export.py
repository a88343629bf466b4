"""An adapter for the tool that the user runs: a GGUF LoRA, a merged GGUF, a Modelfile for Ollama."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, cast

import gguf
import numpy as np
from gguf import GGMLQuantizationType, GGUFReader, GGUFValueType, GGUFWriter

from remanence.training.lora_weights import ExportError, Floats, LoraPair, LoraWeights

# what the gguf package can write again; any other kind of a changed tensor becomes the last resort
_WRITABLE = frozenset(
    GGMLQuantizationType[name] for name in ("F32", "F16", "BF16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0")
)
_INSTEAD = GGMLQuantizationType.Q8_0
_BLOCK = 32  # columns that a quantised block takes


def write_lora(lora: LoraWeights, out: Path, name: str = "") -> None:
    """The adapter as GGUF, for llama.cpp's --lora, LM Studio, or ADAPTER in a Modelfile; all of it or
    nothing. Raises ExportError."""
    partial = _partial(out)
    try:
        writer = GGUFWriter(partial, lora.architecture)
        writer.add_type("adapter")
        writer.add_string("adapter.type", "lora")
        writer.add_float32("adapter.lora.alpha", lora.alpha)
        if name:
            writer.add_name(name)
        for pair in lora.pairs:
            writer.add_tensor(f"{pair.name}.lora_a", np.ascontiguousarray(pair.a))
            writer.add_tensor(f"{pair.name}.lora_b", np.ascontiguousarray(pair.b))
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        os.replace(partial, out)
    except (OSError, ValueError) as error:
        partial.unlink(missing_ok=True)
        raise ExportError(f"{out} cannot be written: {error}") from error


def write_merged(lora: LoraWeights, base: Path, out: Path) -> list[str]:
    """The base GGUF with the adapter merged in: for what takes no adapters (ctransformers), as large as the
    base. Everything but the changed tensors is copied as it is.

    A changed tensor of a kind that cannot be written again (K-quants) becomes Q8_0; gives the names of
    these. Raises ExportError.
    """
    reader = _open(base)
    architecture = reader.get_field("general.architecture")
    said = str(architecture.contents()) if architecture is not None else "?"
    if said != lora.architecture:
        raise ExportError(f"{base.name} is a {said} model, the adapter was trained on a {lora.architecture}.")
    changed = {pair.name: pair for pair in lora.pairs}
    _check_shapes(reader, changed, base)
    partial = _partial(out)
    kinds = {tensor.name: _kind(tensor, changed) for tensor in reader.tensors}
    try:
        writer = GGUFWriter(partial, said)
        _copy_metadata(reader, writer)
        for tensor in reader.tensors:
            shape = tuple(int(size) for size in reversed(tensor.shape.tolist()))
            stored = shape if tensor.name in changed else tuple(tensor.data.shape)
            if tensor.name in changed:
                stored = gguf.quant_shape_to_byte_shape(shape, kinds[tensor.name])
            size = int(np.prod(stored)) * (1 if tensor.name in changed else tensor.data.itemsize)
            writer.add_tensor_info(tensor.name, shape, np.dtype(np.float32), size, kinds[tensor.name])
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
        for tensor in reader.tensors:  # one at a time: the whole would not fit beside the base
            pair = changed.get(tensor.name)
            writer.write_tensor_data(
                tensor.data if pair is None else _merged(tensor, pair, lora.scale, kinds[tensor.name])
            )
        writer.close()
        os.replace(partial, out)
    except (OSError, ValueError) as error:
        partial.unlink(missing_ok=True)
        raise ExportError(f"{out} cannot be written: {error}") from error
    return [tensor.name for tensor in reader.tensors if kinds[tensor.name] != tensor.tensor_type]


def modelfile(base: str, adapter: Path | None, *, system: str = "") -> str:
    """What `ollama create NAME -f Modelfile` takes. `base` is the exact model the adapter was trained on:
    a name that Ollama knows, or a GGUF file; Ollama applies an adapter to any other without a word."""
    lines = [f"FROM {base}"]
    if adapter is not None:
        lines.append(f"ADAPTER {adapter}")
    if system:
        quoted = system.replace('"""', "'''")
        lines.append(f'SYSTEM """{quoted}"""')
    return "\n".join(lines) + "\n"


def _open(path: Path) -> GGUFReader:
    try:
        return GGUFReader(path)
    except (OSError, ValueError, IndexError) as error:
        raise ExportError(f"{path} is no GGUF file that can be read: {error}") from error


def _check_shapes(reader: GGUFReader, changed: dict[str, LoraPair], base: Path) -> None:
    shapes = {tensor.name: tuple(reversed(tensor.shape.tolist())) for tensor in reader.tensors}
    for name, pair in changed.items():
        wanted = (pair.b.shape[0], pair.a.shape[1])
        if shapes.get(name) != wanted:
            raise ExportError(
                f"{base.name} is not the model that the adapter was trained on: its {name} is"
                f" {shapes.get(name)}, the adapter's {wanted}."
            )


def _kind(tensor: Any, changed: dict[str, LoraPair]) -> GGMLQuantizationType:
    kind = cast(GGMLQuantizationType, tensor.tensor_type)
    if tensor.name not in changed or kind in _WRITABLE:
        return kind
    columns = int(tensor.shape[0])
    return _INSTEAD if columns % _BLOCK == 0 else GGMLQuantizationType.F16


def _merged(tensor: Any, pair: LoraPair, scale: float, kind: GGMLQuantizationType) -> Any:
    whole = cast(Floats, gguf.dequantize(tensor.data, tensor.tensor_type))
    shape = tuple(int(size) for size in reversed(tensor.shape.tolist()))
    return gguf.quantize(whole.reshape(shape).astype(np.float32) + pair.delta(scale), kind)


def _copy_metadata(reader: GGUFReader, writer: GGUFWriter) -> None:
    for field in reader.fields.values():
        if field.name.startswith("GGUF.") or field.name == "general.architecture":
            continue
        kind = field.types[0]
        inner = field.types[-1] if kind == GGUFValueType.ARRAY else None
        writer.add_key_value(field.name, field.contents(), kind, sub_type=inner)


def _partial(out: Path) -> Path:
    out.parent.mkdir(parents=True, exist_ok=True)
    return out.with_name(f".{out.name}.partial")
