"""The benchmarks of training and of consolidating run, and say what they are there for."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent


def run(name: str, *arguments: str, **more: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(HERE / f"{name}.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=280, **more)


@pytest.mark.e2e
def test_the_chain_for_a_gpu_goes_the_same_way_on_the_processor(tmp_path: Path) -> None:
    out = tmp_path / "gpu.json"
    done = run(
        "training_on_gpu",
        *("--cpu", "--size", "tiny", "--family", "qwen2", "--facts", "4"),
        *("--folder", str(tmp_path / "work"), "--json", str(out)),
    )
    assert done.returncode == 0, done.stderr[-3000:]
    figures = json.loads(out.read_text())["figures"]
    assert figures["samples/s"] > 0 < figures["tokens/s"]
    assert figures["went on behind step"] >= 2
    assert figures["state at the end"] == "done"
    assert figures["matrices in the GGUF"] == 2 * 7 * 2  # two for each of seven in each of two layers


def test_without_a_gpu_it_says_so(tmp_path: Path) -> None:
    done = run("training_on_gpu", env={"CUDA_VISIBLE_DEVICES": "", "PATH": str(tmp_path)})
    assert done.returncode == 2, done.stderr[-3000:]
    assert "no GPU was found" in done.stdout


def test_consolidating_asks_of_each_fact_as_much_however_many_there_are(tmp_path: Path) -> None:
    out = tmp_path / "consolidation.json"
    done = run("consolidation", "--sizes", "200", "800", "--json", str(out))
    assert done.returncode == 0, done.stderr[-3000:]
    figures = json.loads(out.read_text())["figures"]
    small, large = figures["sizes"].values()
    assert large["facts"] >= 3.5 * small["facts"]
    assert large["superseded"] > small["superseded"] > 0
    assert figures["slopes"]["statements"] < 1.1
    assert large["again"]["compared"] == large["facts"]
