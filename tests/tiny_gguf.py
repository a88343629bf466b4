"""Writes the tiny Llama of the tests, and its LoRA adapter, as GGUF files.

Only what tests need: Llama's tensor names, a tokenizer of the SPM kind or of the BPE kind, and the
quantisations the `gguf` package can write itself.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gguf
import numpy as np
from gguf import GGMLQuantizationType, TokenType
from numpy.typing import NDArray
from safetensors.numpy import load_file

Weights = Mapping[str, NDArray[Any]]

_FILE_TYPES = {"F32": 0, "F16": 1, "Q4_0": 2, "Q4_1": 3, "Q8_0": 7, "Q5_0": 8, "Q5_1": 9, "BF16": 32}
_LAYER_NAMES = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
}
_OUTER_NAMES = {
    "model.embed_tokens.weight": "token_embd.weight",
    "model.norm.weight": "output_norm.weight",
    "lm_head.weight": "output.weight",
}


def write_model(
    folder: Path, out: Path, quantisation: str, *, tied: bool = False, weights: Weights | None = None
) -> None:
    """The Hugging Face folder as one GGUF file; `tied` leaves the output matrix out, as small models do."""
    config = json.loads((folder / "config.json").read_text())
    heads, heads_kv = config["num_attention_heads"], config["num_key_value_heads"]
    writer = gguf.GGUFWriter(out, "llama")
    writer.add_name("Tiny")
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(heads)
    writer.add_head_count_kv(heads_kv)
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_rope_dimension_count(config["hidden_size"] // heads)
    writer.add_vocab_size(config["vocab_size"])
    writer.add_file_type(_FILE_TYPES[quantisation])
    writer.add_quantization_version(2)
    _write_tokenizer(writer, folder)
    tensors = dict(weights if weights is not None else load_file(folder / "model.safetensors"))
    if not tied:
        tensors.setdefault("lm_head.weight", tensors["model.embed_tokens.weight"])
    for name, stored in tensors.items():
        tensor = _permuted(np.asarray(stored, dtype=np.float32), name, heads, heads_kv)
        if tensor.ndim == 1 or quantisation == "F32":
            writer.add_tensor(_gguf_name(name), tensor)
        elif quantisation == "F16":
            writer.add_tensor(_gguf_name(name), tensor.astype(np.float16))
        else:
            kind = GGMLQuantizationType[quantisation]
            writer.add_tensor(_gguf_name(name), gguf.quantize(tensor, kind), raw_dtype=kind)
    _finish(writer)


def write_adapter(adapter: Path, folder: Path, out: Path) -> None:
    """The PEFT adapter as a GGUF LoRA for the base model in `folder`."""
    config = json.loads((folder / "config.json").read_text())
    settings = json.loads((adapter / "adapter_config.json").read_text())
    writer = gguf.GGUFWriter(out, "llama")
    writer.add_type("adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", float(settings["lora_alpha"]))
    for name, stored in sorted(load_file(adapter / "adapter_model.safetensors").items()):
        side = "lora_a" if ".lora_A." in name else "lora_b"
        base = re.sub(r"\.lora_[AB]\.weight$", ".weight", name.removeprefix("base_model.model."))
        tensor = np.asarray(stored, dtype=np.float32)
        if side == "lora_b":
            tensor = _permuted(tensor, base, config["num_attention_heads"], config["num_key_value_heads"])
        writer.add_tensor(f"{_gguf_name(base)}.{side}", np.ascontiguousarray(tensor))
    _finish(writer)


def _finish(writer: gguf.GGUFWriter) -> None:
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _gguf_name(name: str) -> str:
    if name in _OUTER_NAMES:
        return _OUTER_NAMES[name]
    _, _, layer, *rest, _ = name.split(".")
    return f"blk.{layer}.{_LAYER_NAMES['.'.join(rest)]}.weight"


def _permuted(tensor: NDArray[Any], name: str, heads: int, heads_kv: int) -> NDArray[Any]:
    """Rows of the query and key matrices as ggml has them: neighbours paired, where HF pairs halves."""
    if "q_proj" not in name and "k_proj" not in name:
        return tensor
    count = heads if "q_proj" in name else heads_kv
    rows = tensor.shape[0]
    return (
        tensor.reshape(count, 2, rows // count // 2, *tensor.shape[1:]).swapaxes(1, 2).reshape(tensor.shape)
    )


def _write_tokenizer(writer: gguf.GGUFWriter, folder: Path) -> None:
    stored = json.loads((folder / "tokenizer.json").read_text())
    names = json.loads((folder / "tokenizer_config.json").read_text())
    spm = bool(stored["model"].get("byte_fallback"))
    pieces: dict[int, str] = {number: piece for piece, number in stored["model"]["vocab"].items()}
    added = {entry["id"]: entry["special"] for entry in stored["added_tokens"]}
    pieces.update({entry["id"]: entry["content"] for entry in stored["added_tokens"]})
    merges = [merge if isinstance(merge, str) else " ".join(merge) for merge in stored["model"]["merges"]]
    ranks = {merge.replace(" ", ""): rank for rank, merge in reversed(list(enumerate(merges)))}
    kinds: list[int] = []
    scores: list[float] = []
    for number in range(len(pieces)):
        piece = pieces[number]
        scores.append(-float(ranks[piece]) - 1 if piece in ranks else 0.0 if number in added else -1e6)
        if piece == "<unk>":
            kinds.append(TokenType.UNKNOWN)
        elif number in added:  # one that is not special is found in any text
            kinds.append(TokenType.CONTROL if added[number] else TokenType.USER_DEFINED)
        elif spm and re.fullmatch(r"<0x[0-9A-F]{2}>", piece):
            kinds.append(TokenType.BYTE)
        else:
            kinds.append(TokenType.NORMAL)
    writer.add_tokenizer_model("llama" if spm else "gpt2")
    writer.add_token_list([pieces[number].encode() for number in range(len(pieces))])
    writer.add_token_types(kinds)
    if spm:
        writer.add_token_scores(scores)
        writer.add_add_space_prefix(True)
    else:
        writer.add_token_merges(merges)
        # GPT-2's own pattern where the tokenizer names none
        writer.add_tokenizer_pre("gpt-2" if stored["pre_tokenizer"]["type"] == "ByteLevel" else "llama-bpe")
    numbers = {piece: number for number, piece in pieces.items()}
    writer.add_bos_token_id(numbers[names["bos_token"]])
    writer.add_eos_token_id(numbers[names["eos_token"]])
    writer.add_pad_token_id(numbers[names["pad_token"]])
    writer.add_add_bos_token(False)
    writer.add_add_eos_token(False)
    for part in ("prefix", "suffix", "middle"):
        writer.add_uint32(f"tokenizer.ggml.fim_{part[:3]}_token_id", numbers[f"<|fim_{part}|>"])
    writer.add_chat_template((folder / "chat_template.jinja").read_text())
