"""What a training run would learn, and what it would take: said before it begins."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from remanence.engine import learning_messages as lm
from remanence.engine.learning_material import material, operations_material, read_the_newest
from remanence.engine.served_adapters import base_of
from remanence.engine.verbs import invalid
from remanence.memory.fact import Fact
from remanence.memory.fact_store import FactStore
from remanence.memory.timestamps import now_ms
from remanence.models.fitting import free_mb
from remanence.settings import LanguageModelsSettings
from remanence.training.adapters import Adapter, AdapterRegistry
from remanence.training.base_hash import base_hash
from remanence.training.base_model import BaseModelError, check_folder
from remanence.training.dataset import Manifest, Row, build_dataset, stage_files
from remanence.training.estimate import ModelSize, estimate, measure_gflops, size_of
from remanence.training.hardware import as_it_can_be, gpu
from remanence.training.operations import build_operations
from remanence.training.recalled_samples import Memories
from remanence.training.recipe import Recipe, load_recipe
from remanence.training.row_length import ROLES_TOKENS, token_counter
from remanence.training.trainer import steps_of

_TINY, _SMALL = 400_000_000, 2_000_000_000
_GPU_GFLOPS = 40_000.0  # what a middling GPU reaches in bfloat16


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """A dataset that was written, for a base and on from an adapter or from the bare model. `note` says what
    is done otherwise than the recipe says, as this machine has it."""

    base: Path
    base_hash: str
    recipe: Recipe
    parent: Adapter | None
    manifest: Manifest
    facts: list[Fact]
    note: str = ""


def choose_base(request: lm.LearningRequest, settings: LanguageModelsSettings) -> Path:
    """The Hugging Face folder to train on. Raises EngineError naming the field, BaseModelError in words."""
    if request.base:
        base = Path(request.base).expanduser().absolute()
    else:
        name = request.model or settings.use
        if not name:
            raise invalid(
                "base: no language model is set; name the Hugging Face folder to train on, or a model under"
                " [language_models] in settings.toml.",
                "base",
            )
        if name not in settings.models:
            raise invalid(f"model: the settings name no language model {name!r}.", "model")
        model = settings.models[name]
        if model.url:
            raise invalid(
                f"model: {name} is run by a server, which trains nothing: name the Hugging Face folder that"
                " it serves as `base`.",
                "model",
            )
        base = base_of(model) or Path(model.path).expanduser()
    check_folder(base)
    _check_template(base)
    return base


def choose_recipe(name: str | None, size: ModelSize) -> Recipe:
    """The one that is named, or the one for a model of this size. Raises RecipeError in words."""
    if name:
        return load_recipe(name)
    parameters = size.parameters
    return load_recipe(
        "cpu-tiny" if parameters <= _TINY else "laptop-1b" if parameters <= _SMALL else "gpu-7b-qlora"
    )


def plan_dataset(
    request: lm.LearningRequest,
    settings: LanguageModelsSettings,
    facts: FactStore,
    registry: AdapterRegistry,
    out: Path,
) -> Planned:
    """Write the dataset of the run that is asked for. Raises EngineError, or what the rooms say in words."""
    old = registry.get(request.instead_of) if request.instead_of else None
    if old is not None:
        request = msgspec.structs.replace(request, base=request.base or old.base, purpose=old.purpose)
    base = choose_base(request, settings)
    hashed = base_hash(base)
    if old is not None and request.recipe is None:
        recipe = _recipe_again(old)
    else:
        recipe = choose_recipe(request.recipe, size_of(base))
    loaded, note = as_it_can_be(recipe.base, gpu())
    recipe = msgspec.structs.replace(recipe, base=loaded)
    read_the_newest(facts)
    if request.purpose == "operations":
        return replace(_plan_operations(base, hashed, recipe, facts, out), note=note)
    parent = None if request.afresh else _parent(registry, hashed, old)
    whole = replace(
        material(facts, parent.learned if parent is not None else ()),
        memories=Memories(
            exchange=facts.exchange, count=token_counter(base), longest=recipe.train.max_length
        ),
    )
    manifest = build_dataset(whole, recipe, out, base=str(base), created_at=now_ms())
    by_id = {fact.id: fact for fact in whole.current}
    return Planned(
        base=base,
        base_hash=hashed,
        recipe=recipe,
        parent=parent,
        manifest=manifest,
        facts=[by_id[fact] for fact in manifest.facts],
        note=note,
    )


def _plan_operations(base: Path, hashed: str, recipe: Recipe, facts: FactStore, out: Path) -> Planned:
    """From the bare model: the log is learned anew as it stands, without what was taken back since."""
    manifest = build_operations(
        operations_material(facts),
        recipe,
        out,
        base=str(base),
        created_at=now_ms(),
        count=token_counter(base),
    )
    return Planned(
        base=base,
        base_hash=hashed,
        recipe=recipe,
        parent=None,
        manifest=manifest,
        facts=facts.get_all(manifest.facts),
    )


def _parent(registry: AdapterRegistry, hashed: str, old: Adapter | None) -> Adapter | None:
    """The adapter to go on from; never one that learned what was forgotten since, which it would hand on."""
    active = registry.active(hashed)
    if active is not None and not active.is_outdated:
        return active
    before = registry.last_good(old) if old is not None else None
    if before is None or before.base_hash != hashed:
        return None
    return before if (registry.folder(before.id) / "adapter_config.json").is_file() else None


def _recipe_again(old: Adapter) -> Recipe:
    """As it was trained, for as many facts as it learned in all its runs."""
    recipe = read_recipe(old.recipe)
    most = max(recipe.curriculum.facts_per_run, len(old.learned))
    return msgspec.structs.replace(
        recipe, curriculum=msgspec.structs.replace(recipe.curriculum, facts_per_run=most)
    )


def as_plan(planned: Planned, dataset: Path) -> lm.TrainPlan:
    """With what it takes on this machine, now. Raises WeightsError in words."""
    rows = [_count(path) for path in stage_files(dataset)]
    recipe = planned.recipe
    free, speed = _machine()
    told = estimate(
        size_of(planned.base),
        recipe,
        rows=sum(rows),
        tokens=_longest(planned.base, dataset),
        steps=sum(steps_of(count, recipe) for count in rows),
        free_mb=free,
        gflops=speed,
    )
    return lm.TrainPlan(
        base=str(planned.base),
        recipe=recipe.name,
        facts=[fact.text for fact in planned.facts],
        known=len(planned.manifest.known),
        stages=planned.manifest.stages,
        rows=planned.manifest.rows,
        steps=told.steps,
        seconds=told.seconds,
        memory_mb=told.memory_mb,
        parent=planned.parent.id if planned.parent is not None else None,
        purpose=planned.manifest.purpose,
        by_origin=planned.manifest.by_origin,
        note=planned.note or None,
        refusal=told.refusal,
    )


def _check_template(base: Path) -> None:
    if any((base / name).is_file() for name in ("chat_template.jinja", "chat_template.json")):
        return
    try:
        told: object = json.loads((base / "tokenizer_config.json").read_bytes())
    except (OSError, ValueError):
        told = None
    if not isinstance(told, dict) or "chat_template" not in told:
        raise BaseModelError(
            f"The tokenizer in {base} has no chat template: take an instruct model, or add one to its"
            " tokenizer_config.json."
        )


def _machine() -> tuple[int, float]:
    """The memory in MB that training can have, and the speed it can reach: a GPU's where there is one."""
    found = gpu()
    return (found.free_mb, _GPU_GFLOPS) if found is not None else (int(free_mb()), measure_gflops())


def _count(path: Path) -> int:
    return len(path.read_bytes().splitlines())


def _longest(base: Path, dataset: Path) -> int:
    """Tokens of the longest row, as the base's own tokenizer counts them where it can be read cheaply."""
    texts = [
        "\n".join(message.content for message in msgspec.json.decode(line, type=Row).messages)
        for path in stage_files(dataset)
        for line in path.read_bytes().splitlines()
    ]
    return token_counter(base)(max(texts, key=len, default="")) + ROLES_TOKENS


def recipe_text(recipe: Recipe) -> str:
    """A recipe as JSON, to be kept beside what it made."""
    return json.dumps(msgspec.to_builtins(recipe))


def read_recipe(text: str) -> Recipe:
    """A recipe that was kept."""
    return msgspec.json.decode(text, type=Recipe)
