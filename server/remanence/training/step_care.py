"""Between steps: how far training is, whether it should end, and what it waits for."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from remanence.training import checkpoints
from remanence.training.care import has_room, is_allowed_to_run
from remanence.training.group import Group
from remanence.training.recipe import Recipe
from remanence.training.telling import Telling

_WAIT_SECONDS = 2.0
_FINISH_SECONDS = 3.0  # a step that ends within these is ended, and saved


class EndedInside(Exception):
    """Raised between two layers: the step takes longer than whoever ends it should wait."""


def why_it_waits(telling: Telling, recipe: Recipe, room_bytes: int) -> str | None:
    """In words; None where nothing is in the way."""
    return is_allowed_to_run(recipe.care) or has_room(telling.folder.path, room_bytes)


def step_callback(telling: Telling, recipe: Recipe, group: Group, room_bytes: int) -> Any:
    """For a Trainer. Each of its checkpoints is sealed."""
    from transformers import TrainerCallback

    class StepCallback(TrainerCallback):
        def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            while True:
                if group.has_lost_its_head():
                    raise EndedInside
                reason = None if telling.folder.should_end else why_it_waits(telling, recipe, room_bytes)
                if not group.agree(reason is not None):
                    return
                telling.tell_if_it_may("waiting", reason or "")
                time.sleep(_WAIT_SECONDS)

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            telling.step = int(state.global_step)
            if group.agree(telling.folder.should_end):
                control.should_training_stop = True
                control.should_save = True
            else:
                telling.tell_now_and_then("training")

        def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            group.wait()  # each process has a file of its own in it
            if group.is_first:
                checkpoints.seal(Path(args.output_dir) / f"checkpoint-{state.global_step}")

        def on_log(
            self, args: Any, state: Any, control: Any, logs: dict[str, float] | None = None, **_: Any
        ) -> None:
            logs = logs or {}
            telling.loss = logs.get("loss", telling.loss)
            telling.held_out_loss = logs.get("eval_loss", telling.held_out_loss)
            telling.tell("training")

    return StepCallback()


def end_between_layers(model: Any, telling: Telling) -> None:
    """Have a step that takes long end as well, also in its way back where activations come again."""
    noticed: list[float] = []

    def look(*_: object) -> None:
        if telling.folder.should_end:
            noticed.append(time.monotonic())
            if time.monotonic() - noticed[0] > _FINISH_SECONDS:
                raise EndedInside

    for layer in _layers(model):
        layer.register_forward_pre_hook(look)


def _layers(model: Any) -> list[Any]:
    import torch

    count = model.config.get_text_config().num_hidden_layers
    for module in model.modules():
        if isinstance(module, torch.nn.ModuleList) and len(module) == count:
            return list(module)
    return []
