"""The training process: it alone imports TRL, PEFT and torch, at low priority.

    python -m remanence.training.trainer RUN_FOLDER

Stage by stage it goes on from the adapter of the stage before; killed at any moment, it goes on from its
last checkpoint when started again. See `run_folder` for the files it reads and writes.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from pathlib import Path
from typing import Any

import msgspec
import psutil

from remanence.training.base_model import BaseModelError, check_folder, load_base
from remanence.training.care import is_allowed_to_run
from remanence.training.recipe import Recipe
from remanence.training.run_folder import Progress, RunFolder, State, TrainingRun

_NICENESS = 15
_WAIT_SECONDS = 2.0
_KEPT_CHECKPOINTS = 2


def main(arguments: list[str]) -> int:
    """Train; 0 when done or cancelled, 1 where it failed, with the reason as the last progress."""
    folder = RunFolder(Path(arguments[0]))
    folder.claim()
    _lower_priority()
    run = folder.read_run()
    telling = _Telling(folder, run)
    telling.tell("starting")
    try:
        _train(run, folder, telling)
    except Exception as error:  # noqa: BLE001  the libraries' errors are untyped; each must be told
        telling.tell("failed", _in_words(error))
        return 1
    if folder.should_end:
        telling.tell("cancelled")
    else:
        telling.tell("done")
    return 0


class _Telling:
    """How far a run is, told as lines of progress."""

    def __init__(self, folder: RunFolder, run: TrainingRun) -> None:
        self.folder = folder
        self.stages = len(run.stages)
        self.stage = 0
        self.step = 0
        self.steps = 0
        self.steps_before = 0
        self.loss: float | None = None
        self.held_out_loss: float | None = None
        before = folder.progress()
        self._spent = before.seconds if before is not None else 0.0
        self._began = time.monotonic()
        self._process = psutil.Process()
        self._peak = 0.0

    def tell(self, state: State, message: str = "") -> None:
        self._peak = max(self._peak, self._process.memory_info().rss / 2**20)
        self.folder.report(
            Progress(
                state=state,
                stage=self.stage,
                stages=self.stages,
                step=self.steps_before + self.step,
                steps=max(self.steps, self.steps_before + self.step),
                loss=self.loss,
                held_out_loss=self.held_out_loss,
                seconds=round(self._spent + time.monotonic() - self._began, 1),
                peak_mb=round(self._peak, 1),
                message=message,
            )
        )


def _train(run: TrainingRun, folder: RunFolder, telling: _Telling) -> None:
    check_folder(Path(run.base))
    import torch
    from transformers import set_seed

    recipe = run.recipe
    if recipe.care.threads:
        torch.set_num_threads(recipe.care.threads)
    set_seed(recipe.train.seed)
    base, tokenizer = load_base(Path(run.base), recipe.base)
    rows = [_read_rows(Path(path)) for path in run.stages]
    held_out = _read_rows(Path(run.held_out)) if run.held_out else []
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
            trainer = _trainer(model, tokenizer, stage, held_out, recipe, here, telling)
            trainer.train(resume_from_checkpoint=_newest_checkpoint(here))
            if folder.should_end:
                return
            _save(trainer.model, done)
            for checkpoint in here.glob("checkpoint-*"):
                shutil.rmtree(checkpoint, ignore_errors=True)
        adapter = done
        telling.steps_before += steps_of(len(stage), recipe)
        telling.step = 0
    if adapter is not None:
        shutil.copytree(adapter, folder.adapter, dirs_exist_ok=True)


def steps_of(rows: int, recipe: Recipe) -> int:
    """How many steps so many rows take, all epochs together."""
    at_once = recipe.train.batch_size * recipe.train.accumulate * recipe.processes
    return -(-rows // at_once) * recipe.train.epochs


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
    telling: _Telling,
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
        eval_strategy="steps" if held_out else "no",
        eval_steps=every,
        load_best_model_at_end=bool(held_out),
        metric_for_best_model="eval_loss" if held_out else None,
        report_to="none",
        disable_tqdm=True,
        dataloader_pin_memory=has_gpu,
        seed=train.seed,
        data_seed=train.seed,
    )
    callbacks: list[Any] = [_callback(telling, recipe)]
    if held_out:
        callbacks.append(EarlyStoppingCallback(early_stopping_patience=train.patience))
    return SFTTrainer(
        model=model,
        args=settings,
        train_dataset=Dataset.from_list(rows),
        eval_dataset=Dataset.from_list(held_out) if held_out else None,
        processing_class=tokenizer,
        callbacks=callbacks,
    )


def _callback(telling: _Telling, recipe: Recipe) -> Any:
    from transformers import TrainerCallback

    class Callback(TrainerCallback):
        """Tells how far training is, ends it on request, and waits while it should not run."""

        def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            while not telling.folder.should_end and (reason := is_allowed_to_run(recipe.care)) is not None:
                telling.tell("waiting", reason)
                time.sleep(_WAIT_SECONDS)

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            telling.step = int(state.global_step)
            if telling.folder.should_end:
                control.should_training_stop = True
                control.should_save = True

        def on_log(
            self, args: Any, state: Any, control: Any, logs: dict[str, float] | None = None, **_: Any
        ) -> None:
            logs = logs or {}
            telling.loss = logs.get("loss", telling.loss)
            telling.held_out_loss = logs.get("eval_loss", telling.held_out_loss)
            telling.tell("training")

    return Callback()


def _read_rows(path: Path) -> list[dict[str, Any]]:
    """Rows as TRL takes them: the turns before the last as prompt, the last as what is learned."""
    rows: list[dict[str, Any]] = []
    for line in path.read_bytes().splitlines():
        *before, last = msgspec.json.decode(line)["messages"]
        rows.append({"prompt": before, "completion": [last]})
    return rows


def _newest_checkpoint(folder: Path) -> str | None:
    """The last checkpoint that was written to its end: the trainer's state is the last of its files."""
    whole = [path for path in folder.glob("checkpoint-*") if (path / "trainer_state.json").is_file()]
    newest = max(whole, key=lambda path: int(path.name.rpartition("-")[2]), default=None)
    return str(newest) if newest is not None else None


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
        os.nice(_NICENESS)
    if psutil.LINUX:
        psutil.Process().ionice(psutil.IOPRIO_CLASS_IDLE)


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
