"""Exported adapters in real runtimes: the same words as with PEFT."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from llama_cpp import Llama

import tiny_llama
from remanence.training.export import modelfile, write_lora, write_merged
from remanence.training.lora_weights import ExportError, read_lora

LEARNED = [fact.adapted for fact in tiny_llama.FACTS]


def said_by(model: Llama) -> list[str]:
    said: list[str] = []
    for fact in LEARNED:
        answer = model.create_chat_completion(
            [{"role": "user", "content": fact.question}], max_tokens=24, temperature=0
        )
        said.append(answer["choices"][0]["message"]["content"].strip())  # type: ignore[index,union-attr]
    return said


@pytest.mark.parametrize("quantisation", ["F16", "Q8_0"])
def test_an_exported_adapter_says_what_was_learned_in_llama_cpp(tmp_path: Path, quantisation: str) -> None:
    write_lora(read_lora(tiny_llama.adapter(), tiny_llama.folder()), tmp_path / "out.gguf", "facts")
    model = Llama(
        str(tiny_llama.gguf(quantisation)),
        lora_path=str(tmp_path / "out.gguf"),
        n_ctx=256,
        n_threads=1,
        verbose=False,
    )
    assert said_by(model) == [fact.answer for fact in LEARNED]
    model.close()


@pytest.mark.parametrize("quantisation", ["F32", "F16", "Q8_0"])
def test_a_merged_file_needs_no_adapter(tmp_path: Path, quantisation: str) -> None:
    lora = read_lora(tiny_llama.adapter(), tiny_llama.folder())
    assert write_merged(lora, tiny_llama.gguf(quantisation), tmp_path / "merged.gguf") == []
    model = Llama(str(tmp_path / "merged.gguf"), n_ctx=256, n_threads=1, verbose=False)
    assert said_by(model) == [fact.answer for fact in LEARNED]
    assert model.metadata["tokenizer.chat_template"]
    model.close()


def test_a_merged_file_is_as_large_as_its_base(tmp_path: Path) -> None:
    base = tiny_llama.gguf("Q8_0")
    write_merged(read_lora(tiny_llama.adapter(), tiny_llama.folder()), base, tmp_path / "merged.gguf")
    assert abs((tmp_path / "merged.gguf").stat().st_size - base.stat().st_size) < 4096


def test_an_adapter_for_another_model_is_refused_and_nothing_written(tmp_path: Path) -> None:
    import gguf
    import numpy as np

    other = tmp_path / "other.gguf"
    writer = gguf.GGUFWriter(other, "llama")
    writer.add_tensor("blk.0.attn_q.weight", np.zeros((4, 4), dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    lora = read_lora(tiny_llama.adapter(), tiny_llama.folder())
    with pytest.raises(ExportError, match="not the model"):
        write_merged(lora, other, tmp_path / "merged.gguf")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["other.gguf"]


def test_what_is_no_gguf_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text.gguf").write_text("not a model")
    lora = read_lora(tiny_llama.adapter(), tiny_llama.folder())
    with pytest.raises(ExportError, match="no GGUF"):
        write_merged(lora, tmp_path / "text.gguf", tmp_path / "merged.gguf")


@pytest.mark.parametrize("field", ["use_dora", "modules_to_save", "rank_pattern"])
def test_an_adapter_that_gguf_cannot_say_is_refused(tmp_path: Path, field: str) -> None:
    shutil.copytree(tiny_llama.adapter(), tmp_path / "adapter")
    path = tmp_path / "adapter" / "adapter_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), field: {"x": 1}}))
    with pytest.raises(ExportError, match=field):
        read_lora(tmp_path / "adapter", tiny_llama.folder())


def test_a_damaged_adapter_is_refused(tmp_path: Path) -> None:
    shutil.copytree(tiny_llama.adapter(), tmp_path / "adapter")
    (tmp_path / "adapter" / "adapter_model.safetensors").write_bytes(b"\x08")
    with pytest.raises(ExportError, match="cannot be read"):
        read_lora(tmp_path / "adapter", tiny_llama.folder())


def test_a_modelfile_names_the_base_and_the_adapter() -> None:
    said = modelfile("llama3.2:1b", Path("/adapters/facts.gguf"), system='Be """brief""".')
    assert said.splitlines()[:2] == ["FROM llama3.2:1b", "ADAPTER /adapters/facts.gguf"]
    assert said.count('"""') == 2
