"""What a recipe wants and this machine has not is done otherwise, and said in words."""

from __future__ import annotations

from remanence.training.hardware import Gpu, as_it_can_be
from remanence.training.recipe import BaseRecipe

WANTED = BaseRecipe(bits=4, dtype="bfloat16")
NEW_GPU, OLD_GPU = Gpu(free_mb=24_000, capability=8.9), Gpu(free_mb=16_000, capability=7.5)


def test_what_there_is_is_taken_without_a_word() -> None:
    assert as_it_can_be(WANTED, NEW_GPU, has_bitsandbytes=True) == (WANTED, "")
    plain = BaseRecipe(dtype="float32")
    assert as_it_can_be(plain, OLD_GPU, has_bitsandbytes=False) == (plain, "")


def test_without_bitsandbytes_the_model_is_loaded_whole() -> None:
    taken, said = as_it_can_be(WANTED, NEW_GPU, has_bitsandbytes=False)
    assert (taken.bits, taken.dtype) == (0, "bfloat16")
    assert "pip install 'remanence[quantised]'" in said


def test_a_gpu_without_bfloat16_computes_in_float32() -> None:
    taken, said = as_it_can_be(WANTED, OLD_GPU, has_bitsandbytes=True)
    assert (taken.bits, taken.dtype) == (4, "float32")
    assert "float32 is taken" in said


def test_a_processor_computes_bfloat16() -> None:
    assert as_it_can_be(BaseRecipe(dtype="bfloat16"), None) == (BaseRecipe(dtype="bfloat16"), "")


def test_both_are_said() -> None:
    _, said = as_it_can_be(WANTED, OLD_GPU, has_bitsandbytes=False)
    assert "bitsandbytes" in said
    assert "bfloat16" in said
