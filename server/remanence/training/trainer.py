"""The training process: it alone imports TRL, PEFT and torch, at low priority.

    python -m remanence.training.trainer RUN_FOLDER

Stage by stage it goes on from the adapter of the stage before; killed at any moment, it goes on from its
last whole checkpoint when started again. Several processes (`accelerate launch`) train as one. See
`run_folder` for the files it reads and writes.
"""

from __future__ import annotations

import errno
import os
import shutil
import signal
import sys
import time
import traceback
from pathlib import Path
from typing import Any

import msgspec
import psutil

from remanence.training import checkpoints
from remanence.training.base_model import BaseModelError, check_folder, load_base
from remanence.training.care import has_room
from remanence.training.group import Group
from remanence.training.hardware import as_it_can_be, gpu
from remanence.training.recipe import Recipe
from remanence.training.row_order import length_sampler
from remanence.training.row_tokens import read_held_out, read_rows
from remanence.training.run_folder import RunFolder, TrainingRun
from remanence.training.step_care import EndedInside, end_between_layers, step_callback
from remanence.training.telling import Telling

TRY_AGAIN = 75  # the exit status of a run that could not write: begun again, it goes on

_NICENESS = 15
_KEPT_CHECKPOINTS = 2
_WRITES_A_WEIGHT = 4 * (3 + 2)  # a checkpoint's float32 with two moments, and the adapter twice at the end
_WRITES_BESIDES = 2**20
_FULL_WAIT_SECONDS = 5.0


def main(arguments: list[str]) -> int:
    """Train; 0 when done or cancelled, 1 where it failed, with the reason as the last progress."""
    folder, group = RunFolder(Path(arguments[0])), Group()
    if group.is_first:
        folder.claim(group.head())
    _lower_priority()
    run = folder.read_run()
    telling = Telling(folder, run, first=group.is_first)
    telling.tell_if_it_may("starting")
    try:
        _train(run, folder, telling, group)
    except EndedInside:
        pass  # the checkpoint before is what it goes on from
    except Exception as error:  # noqa: BLE001  the libraries' errors are untyped; each must be told
        traceback.print_tb(error.__traceback__)  # its words may quote what is learned
        sys.stderr.write(f"{type(error).__name__}\n")
        if _is_full(error):
            return _wait_for_room(folder, telling)
        telling.tell_if_it_may("failed", _in_words(error))
        return 1
    if folder.should_end:
        telling.tell_if_it_may("cancelled")
        return 0
    if group.has_lost_its_head():
        return 1
    telling.tell("done")
    return 0


def _train(run: TrainingRun, folder: RunFolder, telling: Telling, group: Group) -> None:
    check_folder(Path(run.base))
    import torch
    from transformers import set_seed

    loaded, telling.note = as_it_can_be(run.recipe.base, gpu())
    recipe = msgspec.structs.replace(run.recipe, base=loaded)
    if recipe.care.threads:
        torch.set_num_threads(recipe.care.threads)
    set_seed(recipe.train.seed)
    base, tokenizer = load_base(
        Path(run.base),
        recipe.base,
        device=None if group.is_alone else group.device,
        checkpointing=recipe.train.checkpointing,
    )
    if group.is_alone:  # of several, one that ended inside a step would leave the others waiting
        end_between_layers(base, telling)
    stages = [Path(path) for path in run.stages]
    rows = [read_rows(path, tokenizer) for path in stages]
    held_out = [
        read_held_out(Path(run.held_out), stages, number, tokenizer) if run.held_out else []
        for number in range(len(stages))
    ]
    telling.steps = sum(steps_of(len(stage), recipe) for stage in rows)
    adapter = Path(run.parent) if run.parent else None
    model: Any = None
    for number, stage in enumerate(rows):
        telling.stage = number + 1
        here = folder.stage(number)
        done = here / "adapter"
        if not done.is_dir():
            if model is None:
                model = _with_adapter(base, adapter, recipe)
            trainer = _trainer(model, tokenizer, stage, held_out[number], recipe, here, telling, group)
            if group.is_first:
                checkpoints.remove_half_written(here)
            group.wait()
            newest = checkpoints.newest_whole(here)
            telling.tell_if_it_may("training")
            trainer.train(resume_from_checkpoint=str(newest) if newest is not None else None)
            if group.agree(folder.should_end):
                return
            if group.is_first:
                _save(trainer.model, done)
                checkpoints.remove_all(here)
            group.wait()
        adapter = done
        telling.steps_before += steps_of(len(stage), recipe)
        telling.step = 0
    if adapter is not None and group.is_first:
        shutil.copytree(adapter, folder.adapter, dirs_exist_ok=True)


def steps_of(rows: int, recipe: Recipe) -> int:
    """How many steps so many rows take, all epochs together."""
    return _steps_an_epoch(rows, recipe) * recipe.train.epochs


def _steps_an_epoch(rows: int, recipe: Recipe) -> int:
    at_once = recipe.train.batch_size * recipe.train.accumulate * recipe.processes
    return -(-rows // at_once)


def _with_adapter(base: Any, adapter: Path | None, recipe: Recipe) -> Any:
    """The base with an adapter to train: a new one, or one to go on from."""
    from peft import LoraConfig, PeftModel, get_peft_model

    if adapter is not None:
        return PeftModel.from_pretrained(base, str(adapter), is_trainable=True)
    lora = recipe.lora
    return get_peft_model(
        base,
        LoraConfig(
            r=lora.rank,
            lora_alpha=lora.alpha,
            lora_dropout=lora.dropout,
            target_modules=lora.targets,
            task_type="CAUSAL_LM",
        ),
    )


def _trainer(
    model: Any,
    tokenizer: Any,
    rows: list[dict[str, Any]],
    held_out: list[dict[str, Any]],
    recipe: Recipe,
    here: Path,
    telling: Telling,
    group: Group,
) -> Any:
    import torch
    from datasets import Dataset
    from transformers import EarlyStoppingCallback
    from trl.trainer.sft_config import SFTConfig
    from trl.trainer.sft_trainer import SFTTrainer

    train, has_gpu = recipe.train, torch.cuda.is_available()
    steps = steps_of(len(rows), recipe)
    every = min(train.evaluate_every, max(steps // 2, 1))
    settings = SFTConfig(
        output_dir=str(here),
        num_train_epochs=train.epochs,
        per_device_train_batch_size=train.batch_size,
        per_device_eval_batch_size=train.batch_size,
        gradient_accumulation_steps=train.accumulate,
        learning_rate=train.learning_rate,
        lr_scheduler_type=train.scheduler,
        warmup_steps=max(1, round(train.warmup * steps)),
        max_length=train.max_length,
        packing=False,
        completion_only_loss=True,
        bf16=has_gpu and recipe.base.dtype == "bfloat16",
        fp16=False,
        use_cpu=not has_gpu,
        gradient_checkpointing=train.checkpointing,
        logging_steps=max(1, min(10, steps // 10)),
        save_strategy="steps",
        save_steps=every,
        save_total_limit=_KEPT_CHECKPOINTS,
        restore_callback_states_from_checkpoint=True,  # else a kill gives early stopping more patience
        eval_strategy="steps" if held_out else "no",
        eval_steps=every,
        load_best_model_at_end=bool(held_out),
        metric_for_best_model="eval_loss" if held_out else None,
        ddp_find_unused_parameters=None if group.is_alone else False,
        report_to="none",
        disable_tqdm=True,
        dataloader_pin_memory=has_gpu,
        seed=train.seed,
        data_seed=train.seed,
    )
    trained = sum(weight.numel() for weight in model.parameters() if weight.requires_grad)
    room = trained * _WRITES_A_WEIGHT + _WRITES_BESIDES + _size_of_tokenizer(tokenizer)
    callbacks: list[Any] = [step_callback(telling, recipe, group, room)]
    if held_out:
        callbacks.append(EarlyStoppingCallback(early_stopping_patience=train.patience))

    class LikeLengthsTrainer(SFTTrainer):
        def _get_train_sampler(self, train_dataset: Any = None) -> Any:
            lengths, an_epoch = [len(row["input_ids"]) for row in rows], _steps_an_epoch(len(rows), recipe)
            epoch = lambda: self.state.global_step // an_epoch  # noqa: E731  right after a kill as well
            return length_sampler(lengths, train.batch_size, train.seed, epoch)

    return LikeLengthsTrainer(
        model=model,
        args=settings,
        train_dataset=Dataset.from_list(rows),
        eval_dataset=Dataset.from_list(held_out) if held_out else None,
        processing_class=tokenizer,
        callbacks=callbacks,
    )


def _size_of_tokenizer(tokenizer: Any) -> int:
    """Bytes of its files, which every checkpoint has."""
    folder = Path(tokenizer.name_or_path)
    return sum(path.stat().st_size for path in folder.glob("*.json")) if folder.is_dir() else 0


def _save(model: Any, folder: Path) -> None:
    """All of an adapter or nothing."""
    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    model.save_pretrained(str(partial))
    partial.rename(folder)


def _lower_priority() -> None:
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # it outlives the terminal that began it
    if hasattr(os, "nice"):
        os.nice(max(0, _NICENESS - os.nice(0)))
    if psutil.LINUX:
        psutil.Process().ionice(psutil.IOPRIO_CLASS_IDLE)


def _is_full(error: BaseException) -> bool:
    """Whether the disk is: each library says so in words of its own, some in none."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return True
    said = str(error)
    return any(words in said for words in ("No space left", "os error 28", "PytorchStreamWriter"))


def _wait_for_room(folder: RunFolder, telling: Telling) -> int:
    """Free what can be freed, say it, and end once there is room or somebody ends the run."""
    for stage in folder.path.glob("stage-*"):
        checkpoints.remove_half_written(stage)
        shutil.rmtree(stage / "adapter.partial", ignore_errors=True)
    telling.tell_if_it_may("waiting", "waiting for room on the disk: it is full")
    time.sleep(_FULL_WAIT_SECONDS)
    while not folder.should_end and has_room(folder.path, _WRITES_BESIDES) is not None:
        time.sleep(_FULL_WAIT_SECONDS)
    if folder.should_end:
        telling.tell_if_it_may("cancelled")
        return 0
    return TRY_AGAIN


def _in_words(error: Exception) -> str:
    """Short, and never with a row of training data in it."""
    if isinstance(error, BaseModelError):
        return str(error)
    if "out of memory" in str(error).lower() or isinstance(error, MemoryError):
        return "The memory did not suffice: take a smaller batch_size or max_length, or 4 bits on a GPU."
    if isinstance(error, OSError):
        return f"A file could not be read or written: {error.strerror or type(error).__name__}."
    return f"Training failed: {type(error).__name__}. The log says where."


if __name__ == "__main__":
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    sys.exit(main(sys.argv[1:]))
