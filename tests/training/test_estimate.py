"""What training will take: read from the weights' headers, and refused in words where it cannot fit."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import tiny_llama
from remanence.training.estimate import ModelSize, WeightsError, estimate, measure_gflops, size_of
from remanence.training.recipe import load_recipe

LLAMA_1B = ModelSize(parameters=1_235_814_400, hidden=2048, layers=16, vocabulary=128_256)


def test_the_size_is_read_without_the_weights() -> None:
    size = size_of(tiny_llama.folder())
    assert size.layers >= 1
    assert size.parameters > size.hidden * size.vocabulary


def test_a_folder_without_weights_is_told_in_words(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"hidden_size": 1, "num_hidden_layers": 1, "vocab_size": 1}')
    with pytest.raises(WeightsError, match="no weights"):
        size_of(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"\xff" * 64)
    with pytest.raises(WeightsError, match="cannot be read"):
        size_of(tmp_path)


def test_what_cannot_fit_is_refused_with_what_would_help() -> None:
    recipe = load_recipe("cpu-tiny")
    said = estimate(LLAMA_1B, recipe, rows=100, tokens=200, steps=100, free_mb=4000, gflops=50)
    assert said.refusal is not None
    assert "4,000 MB" in said.refusal
    assert "checkpointing" in said.refusal


def test_what_fits_is_not_refused() -> None:
    recipe = load_recipe("laptop-1b")
    said = estimate(LLAMA_1B, recipe, rows=100, tokens=200, steps=100, free_mb=16_000, gflops=50)
    assert said.refusal is None
    assert LLAMA_1B.parameters * 2 < said.memory_mb * 2**20


def test_four_bits_and_checkpoints_take_less() -> None:
    plain = load_recipe("cpu-tiny")
    small = load_recipe("gpu-7b-qlora")
    said = [
        estimate(LLAMA_1B, recipe, rows=64, tokens=200, steps=10, free_mb=0, gflops=50).memory_mb
        for recipe in (plain, small)
    ]
    assert said[1] < said[0] / 3


def test_each_step_takes_as_long_as_the_one_before() -> None:
    recipe = load_recipe("cpu-tiny")
    ten, twenty, thirty = (
        estimate(LLAMA_1B, recipe, rows=64, tokens=100, steps=steps, free_mb=0, gflops=50).seconds
        for steps in (10, 20, 30)
    )
    assert thirty - twenty == pytest.approx(twenty - ten, rel=0.01)
    assert ten < twenty


def test_the_processor_is_measured() -> None:
    assert measure_gflops(0.02) > 0


def test_what_is_not_quantised_counts_whole() -> None:
    recipe = load_recipe("gpu-7b-qlora")
    head = LLAMA_1B.vocabulary * LLAMA_1B.hidden
    tied = ModelSize(2 * head, LLAMA_1B.hidden, 1, LLAMA_1B.vocabulary, embedded=head)
    apart = ModelSize(2 * head, LLAMA_1B.hidden, 1, LLAMA_1B.vocabulary, embedded=2 * head)
    said = [
        estimate(size, recipe, rows=8, tokens=50, steps=1, free_mb=0, gflops=50).memory_mb
        for size in (tied, apart)
    ]
    assert said[1] - said[0] > head * 3 / 2**20


def test_the_adapter_is_counted_by_the_layers_that_there_are() -> None:
    size = size_of(tiny_llama.folder())
    from safetensors.numpy import load_file

    weights = load_file(tiny_llama.adapter() / "adapter_model.safetensors")
    assert sum(matrix.size for matrix in weights.values()) == 16 * size.adapted
    assert size.embedded == size.hidden * size.vocabulary


def test_one_that_cannot_fit_is_refused_before_anything_is_started(tmp_path: Path) -> None:
    # the headers of a model of a hundred billion parameters; its weights are a hole in the file
    shapes = {f"layers.{number}": [100_000, 100_000] for number in range(10)}
    header = json.dumps(
        {name: {"dtype": "BF16", "shape": shape, "data_offsets": [0, 0]} for name, shape in shapes.items()}
    ).encode()
    (tmp_path / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)
    config = {"hidden_size": 100_000, "num_hidden_layers": 10, "vocab_size": 32_000}
    (tmp_path / "config.json").write_text(json.dumps(config))
    for name in ("cpu-tiny", "laptop-1b", "gpu-7b-qlora"):
        said = estimate(
            size_of(tmp_path), load_recipe(name), rows=100, tokens=60, steps=9, free_mb=20_000, gflops=50
        )
        assert said.refusal is not None
        assert "smaller model" in said.refusal
