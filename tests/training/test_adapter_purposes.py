"""Adapters for facts and for operations side by side: each with a place, a past and a fate of its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

import tiny_llama
from remanence.memory.database import Database
from remanence.training.adapters import Adapter, AdapterRegistry
from remanence.training.dataset import Manifest
from remanence.training.recipe import Purpose

BASE = "hash of a base"


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[AdapterRegistry]:
    database = Database(tmp_path / "memory.db")
    yield AdapterRegistry(database, tmp_path / "adapters")
    database.close()


def add(registry: AdapterRegistry, name: str, purpose: Purpose, exchanges: Sequence[str] = ()) -> None:
    manifest = Manifest(
        created_at=0,
        base="",
        recipe="test",
        facts=[],
        known=[],
        exchanges=list(exchanges),
        stages=1,
        rows=1,
        by_form={},
        questions={},
        sha256={},
        left_out={},
        purpose=purpose,
    )
    made = Adapter(
        id=name,
        base="/nowhere",
        base_hash=BASE,
        recipe_name="test",
        recipe="{}",
        manifest=manifest,
        report=None,
        parent=None,
        state="trained",
        created_at=0,
    )
    registry.add(made, [], tiny_llama.adapter())


def put_on(registry: AdapterRegistry, name: str, purpose: Purpose) -> None:
    add(registry, name, purpose)
    registry.activate(name, BASE, force=True)


def active(registry: AdapterRegistry) -> tuple[str | None, str | None]:
    found = [registry.active(BASE), registry.active(BASE, "operations")]
    return found[0] and found[0].id, found[1] and found[1].id


def test_one_is_on_for_each_purpose_and_putting_one_on_leaves_the_other(registry: AdapterRegistry) -> None:
    put_on(registry, "answers", "facts")
    put_on(registry, "decides", "operations")
    put_on(registry, "decides2", "operations")
    assert active(registry) == ("answers", "decides2")
    registry.deactivate("answers")
    assert active(registry) == (None, "decides2")


def test_each_purpose_is_rolled_back_on_its_own(registry: AdapterRegistry) -> None:
    put_on(registry, "decides", "operations")
    put_on(registry, "answers", "facts")
    put_on(registry, "decides2", "operations")
    assert registry.roll_back(BASE, "operations") == "decides"
    assert active(registry) == ("answers", "decides")
    assert registry.roll_back(BASE) is None
    assert active(registry) == (None, "decides")


def test_one_that_learned_to_read_a_forgotten_exchange_is_marked_though_it_held_no_fact(
    registry: AdapterRegistry,
) -> None:
    add(registry, "answers", "facts", ["gone"])
    add(registry, "decides", "operations", ["gone"])
    assert {each.id: each.is_outdated for each in registry.list()} == {"answers": False, "decides": True}
