"""Merging with PEFT in its own process: what the new adapter adds is made of what the two add."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import tiny_llama
from remanence.training.adapters import Adapter, AdapterError
from remanence.training.dataset import Manifest
from remanence.training.lora_weights import read_lora
from remanence.training.merging import (
    Merge,
    MergingEnded,
    Method,
    check_mergeable,
    merge,
    merged_manifest,
    usual_weights,
)
from remanence.training.recipe import BaseRecipe

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tests' adapter with its columns and rows in another order: of the same shapes, and another one."""
    folder = tmp_path_factory.mktemp("other") / "adapter"
    shutil.copytree(tiny_llama.adapter(), folder)
    weights = load_file(folder / "adapter_model.safetensors")
    rolled = {name: np.ascontiguousarray(np.roll(each, 3, axis=1)) for name, each in weights.items()}
    save_file(rolled, folder / "adapter_model.safetensors", {"format": "pt"})
    return folder


def merged(one: Path, other: Path, folder: Path, method: Method, weights: list[float]) -> Path:
    folder.mkdir(parents=True)
    asked = Merge(
        base=str(tiny_llama.folder()),
        base_recipe=BaseRecipe(),
        adapters=[str(one), str(other)],
        weights=weights,
        method=method,
    )
    return merge(asked, folder, lambda: False)


def deltas(adapter: Path) -> dict[str, np.ndarray]:
    """What it adds to each layer."""
    lora = read_lora(adapter, tiny_llama.folder())
    return {pair.name: pair.delta(lora.scale) for pair in lora.pairs}


def test_cat_adds_both_by_their_weights_and_svd_the_nearest_to_that_of_one_rank(
    other: Path, tmp_path: Path
) -> None:
    first, second = deltas(tiny_llama.adapter()), deltas(other)
    wanted = {name: 0.7 * first[name] + 0.3 * second[name] for name in first}
    whole = merged(tiny_llama.adapter(), other, tmp_path / "cat", "cat", [0.7, 0.3])
    for name, delta in deltas(whole).items():
        np.testing.assert_allclose(delta, wanted[name], atol=1e-5)
    assert json.loads((whole / "adapter_config.json").read_bytes())["r"] == 32

    cut = merged(tiny_llama.adapter(), other, tmp_path / "svd", "svd", [0.7, 0.3])
    assert json.loads((cut / "adapter_config.json").read_bytes())["r"] == 16
    for name, delta in deltas(cut).items():
        left, sizes, right = np.linalg.svd(wanted[name], full_matrices=False)
        nearest = (left[:, :16] * sizes[:16]) @ right[:16]
        np.testing.assert_allclose(delta, nearest, atol=1e-4)


@pytest.mark.parametrize("method", ["linear", "ties", "dare_ties"])
def test_the_other_methods_keep_the_rank_and_give_the_same_again(
    other: Path, tmp_path: Path, method: Method
) -> None:
    one = merged(tiny_llama.adapter(), other, tmp_path / "one", method, [1.0, 1.0])
    again = merged(tiny_llama.adapter(), other, tmp_path / "again", method, [1.0, 1.0])
    assert read_lora(one, tiny_llama.folder()).rank == 16
    weights = load_file(one / "adapter_model.safetensors")
    assert any(np.abs(each).max() > 0 for each in weights.values())
    for name, each in load_file(again / "adapter_model.safetensors").items():
        np.testing.assert_array_equal(each, weights[name])


def test_what_peft_cannot_merge_is_told_in_its_words(tmp_path: Path) -> None:
    wider = tmp_path / "wider"
    shutil.copytree(tiny_llama.adapter(), wider)
    weights = load_file(wider / "adapter_model.safetensors")
    doubled = {name: np.repeat(each, 2, axis=int("lora_B" in name)) for name, each in weights.items()}
    save_file(doubled, wider / "adapter_model.safetensors", {"format": "pt"})
    settings = json.loads((wider / "adapter_config.json").read_bytes())
    (wider / "adapter_config.json").write_text(json.dumps({**settings, "r": 32}))
    with pytest.raises(AdapterError, match="cannot be merged: All adapters must have the same r"):
        merged(tiny_llama.adapter(), wider, tmp_path / "linear", "linear", [1.0, 1.0])


def test_a_merge_ends_when_it_is_cancelled(other: Path, tmp_path: Path) -> None:
    asked = Merge(
        base=str(tiny_llama.folder()),
        base_recipe=BaseRecipe(),
        adapters=[str(tiny_llama.adapter()), str(other)],
        weights=[1.0, 1.0],
        method="svd",
    )
    with pytest.raises(MergingEnded):
        merge(asked, tmp_path, lambda: True)
    assert not (tmp_path / "merged").exists()


def adapter(name: str, base: str = "one base", *, outdated: bool = False) -> Adapter:
    manifest = Manifest(
        created_at=0,
        base="",
        recipe="test",
        facts=[f"{name}'s", "both"],
        known=["known"],
        exchanges=[f"of {name}", "of both"],
        stages=1,
        rows=2,
        by_form={"direct": 2},
        questions={},
        sha256={},
        left_out={},
    )
    return Adapter(
        id=name,
        base=f"/{base}",
        base_hash=base,
        recipe_name="test",
        recipe="{}",
        manifest=manifest,
        report=None,
        parent=None,
        state="trained",
        created_at=0,
        is_outdated=outdated,
    )


def test_the_manifest_names_what_both_learned_once() -> None:
    told = merged_manifest(adapter("one"), adapter("other"), "svd", 7)
    assert (told.facts, told.known) == (["one's", "both", "other's"], ["known"])
    assert told.exchanges == ["of both", "of one", "of other"]
    assert (told.recipe, told.created_at, told.by_form) == ("merged by svd", 7, {"direct": 4})


def test_two_of_different_models_are_refused() -> None:
    with pytest.raises(AdapterError, match="different models, /one base and /another"):
        check_mergeable(adapter("one"), adapter("other", "another"), [1.0, 1.0])


def test_one_that_learned_what_was_forgotten_is_not_merged() -> None:
    with pytest.raises(AdapterError, match="other learned something that was forgotten"):
        check_mergeable(adapter("one"), adapter("other", outdated=True), [1.0, 1.0])


@pytest.mark.parametrize("weights", [[1.0], [1.0, 0.0], [1.0, -0.5], [9.0, 1.0], [float("nan"), 1.0]])
def test_weights_that_make_no_sense_are_refused(weights: list[float]) -> None:
    with pytest.raises(AdapterError, match="weights: give one for each"):
        check_mergeable(adapter("one"), adapter("other"), weights)


@pytest.mark.parametrize("method", ["svd", "cat", "ties"])
def test_of_an_adapter_and_its_like_the_usual_weights_make_the_same_again(
    tmp_path: Path, method: Method
) -> None:
    like = tiny_llama.adapter()
    made = merged(like, like, tmp_path / "made", method, usual_weights(method))
    kept = deltas(like)
    for name, delta in deltas(made).items():
        if method == "ties":  # it leaves out what is small
            assert 0.5 < np.linalg.norm(delta) / np.linalg.norm(kept[name]) <= 1.01
        else:
            np.testing.assert_allclose(delta, kept[name], atol=1e-4)


def test_an_adapter_is_not_merged_with_itself() -> None:
    with pytest.raises(AdapterError, match="with itself"):
        check_mergeable(adapter("one"), adapter("one"), [1.0, 1.0])
