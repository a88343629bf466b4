"""The job that merges two adapters: merged in a process of its own, registered, evaluated; never put on."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import msgspec

from remanence.engine import messages as m
from remanence.engine.jobs import Control, JobCancelled
from remanence.engine.training_plan import read_recipe
from remanence.memory.timestamps import now_ms
from remanence.training.adapters import Adapter, AdapterRegistry
from remanence.training.merging import (
    Merge,
    MergingEnded,
    Method,
    check_mergeable,
    merge,
    merged_manifest,
)

Evaluate = Callable[[Control, str, float], None]

_MERGED_SHARE = 0.1  # of the progress that is shown; the rest is the evaluation


class MergeTask(m.Request, frozen=True, kw_only=True):
    """What a merging job has to do; `adapter` is the id of what it makes."""

    adapter: str
    one: str
    other: str
    weights: list[float]
    method: Method


def read_merge(request: str) -> MergeTask:
    """Raises msgspec.DecodeError where it is another version's."""
    return msgspec.json.decode(request.encode(), type=MergeTask)


def run_merge(control: Control, task: MergeTask, registry: AdapterRegistry, evaluate: Evaluate) -> None:
    """Merge, or go on where it was. Cancelled while it is evaluated, it is kept and not evaluated. Raises
    AdapterError, or what evaluating says in words."""
    if all(each.id != task.adapter for each in registry.list()):
        _merge(control, task, registry)
    evaluate(control, task.adapter, _MERGED_SHARE)


def _merge(control: Control, task: MergeTask, registry: AdapterRegistry) -> None:
    one, other = registry.get(task.one), registry.get(task.other)
    check_mergeable(one, other, task.weights)
    control.report(0.0, f"merging {one.id} and {other.id} by {task.method}")
    folder = registry.folder(f"{task.adapter}.partial")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, mode=0o700)
    try:
        merged = merge(
            Merge(
                base=one.base,
                base_recipe=read_recipe(one.recipe).base,
                adapters=[str(registry.folder(each.id)) for each in (one, other)],
                weights=task.weights,
                method=task.method,
            ),
            folder,
            lambda: _is_ending(control),
        )
        registry.add(_adapter(task, one, other), [], merged)
    except MergingEnded as ended:
        raise JobCancelled from ended
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _is_ending(control: Control) -> bool:
    try:
        control.report()
    except JobCancelled:
        return True
    return False


def _adapter(task: MergeTask, one: Adapter, other: Adapter) -> Adapter:
    shares = " and ".join(
        f"{weight:g} {each.id}" for weight, each in zip(task.weights, (one, other), strict=True)
    )
    now = now_ms()
    return Adapter(
        id=task.adapter,
        base=one.base,
        base_hash=one.base_hash,
        recipe_name=f"{task.method} of {shares}",
        recipe=one.recipe,
        manifest=merged_manifest(one, other, task.method, now),
        report=None,
        parent=one.id,
        merged_with=other.id,
        state="trained",
        created_at=now,
    )


def forget_unfinished(folder: Path) -> None:
    """Remove what merging jobs that nobody takes up again left in the folder of adapters."""
    for path in folder.glob("*.partial"):
        shutil.rmtree(path, ignore_errors=True)
