"""An adapter is trained on a base in 4 or 8 bits (QLoRA, arXiv 2305.14314), here on a processor."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import pytest
from tiny_runs import KNOWN, LEARNED, answers, never, quietly, run_of

from remanence.training.training_process import follow

pytestmark = pytest.mark.e2e


def quantised(bits: int) -> Any:
    from transformers import BitsAndBytesConfig

    if bits == 8:
        return BitsAndBytesConfig(load_in_8bit=True)
    return BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4")


@pytest.mark.parametrize("bits", [4, 8])
def test_on_a_base_in_few_bits_it_learns_the_same(tmp_path: Path, bits: Literal[4, 8]) -> None:
    run = run_of(tmp_path, [*LEARNED, *KNOWN], epochs=25, bits=bits, checkpointing=True)
    assert follow(run, quietly, never).state == "done"
    said = answers(run.adapter, LEARNED, quantization_config=quantised(bits))
    assert [each.strip() for each in said] == [fact.answer for fact in LEARNED]
