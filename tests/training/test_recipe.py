"""Recipes: the shipped ones can be used, a wrong one is refused in words."""

from __future__ import annotations

from pathlib import Path

import pytest

from remanence.training.recipe import RecipeError, load_recipe, parse_recipe, shipped_recipes


@pytest.mark.parametrize("name", ["cpu-tiny", "laptop-1b", "gpu-7b-qlora", "multi-gpu"])
def test_each_shipped_recipe_can_be_used(name: str) -> None:
    recipe = load_recipe(name)
    assert recipe.name == name
    assert recipe.about


def test_no_other_recipe_is_shipped() -> None:
    assert set(shipped_recipes()) == {"cpu-tiny", "laptop-1b", "gpu-7b-qlora", "multi-gpu"}


def test_an_unknown_name_is_refused_with_the_known_ones() -> None:
    with pytest.raises(RecipeError, match="cpu-tiny"):
        load_recipe("gpu-70b")


def test_a_recipe_of_the_users_own_is_read(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text('name = "mine"\n[lora]\nrank = 4\n')
    assert load_recipe(str(tmp_path / "mine.toml")).lora.rank == 4


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('name = "x"\n[lora]\nrank = 0\n', "rank"),
        ('name = "x"\n[train]\nlearning_rate = 2\n', "learning_rate"),
        ('name = "x"\n[lora]\nranks = 4\n', "ranks"),
        ('name = "x"\n[base]\nbits = 3\n', "bits"),
        ("name = ", "value"),
        ("", "name"),
    ],
)
def test_a_wrong_recipe_is_refused_and_the_field_named(text: str, said: str) -> None:
    with pytest.raises(RecipeError, match=f"(?i){said}"):
        parse_recipe(text)
