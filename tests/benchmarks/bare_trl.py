"""TRL and PEFT alone, on the stages of a run's folder: what `training.py` measures our trainer beside.

    python tests/benchmarks/bare_trl.py RUN_FOLDER OUT

The same rows, recipe, checkpoints and held-out rows, and nothing of ours but the reading of run.json. One
stage. Its log ends with what the library itself says of its speed.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")


def rows_of(path: str) -> list[dict[str, Any]]:
    rows = [json.loads(line)["messages"] for line in Path(path).read_text(encoding="utf-8").splitlines()]
    return [{"prompt": before, "completion": [last]} for *before, last in rows]


def main(run_folder: Path, out: Path) -> None:
    import torch
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import AutoModelForCausalLM, AutoTokenizer, EarlyStoppingCallback
    from trl.trainer.sft_config import SFTConfig
    from trl.trainer.sft_trainer import SFTTrainer

    run = json.loads((run_folder / "run.json").read_bytes())
    recipe = run["recipe"]
    train, lora = recipe["train"], recipe["lora"]
    torch.set_num_threads(recipe["care"]["threads"] or torch.get_num_threads())
    rows, held_out = rows_of(run["stages"][0]), rows_of(run["held_out"])
    steps = -(-len(rows) // (train["batch_size"] * train["accumulate"])) * train["epochs"]
    every = min(train["evaluate_every"], max(steps // 2, 1))
    has_gpu = torch.cuda.is_available()
    trainer = SFTTrainer(
        model=AutoModelForCausalLM.from_pretrained(
            run["base"],
            dtype=getattr(torch, recipe["base"]["dtype"]),
            device_map="auto" if has_gpu else "cpu",
        ),
        args=SFTConfig(
            output_dir=str(out),
            num_train_epochs=train["epochs"],
            per_device_train_batch_size=train["batch_size"],
            per_device_eval_batch_size=train["batch_size"],
            gradient_accumulation_steps=train["accumulate"],
            learning_rate=train["learning_rate"],
            lr_scheduler_type=train["scheduler"],
            warmup_steps=max(1, round(train["warmup"] * steps)),
            max_length=train["max_length"],
            completion_only_loss=True,
            bf16=has_gpu and recipe["base"]["dtype"] == "bfloat16",
            use_cpu=not has_gpu,
            gradient_checkpointing=train["checkpointing"],
            logging_steps=max(1, min(10, steps // 10)),
            save_strategy="steps",
            save_steps=every,
            save_total_limit=2,
            eval_strategy="steps",
            eval_steps=every,
            load_best_model_at_end=True,
            metric_for_best_model="eval_loss",
            report_to="none",
            disable_tqdm=True,
            dataloader_pin_memory=has_gpu,
            seed=train["seed"],
            data_seed=train["seed"],
        ),
        train_dataset=Dataset.from_list(rows),
        eval_dataset=Dataset.from_list(held_out),
        processing_class=AutoTokenizer.from_pretrained(run["base"]),
        callbacks=[EarlyStoppingCallback(early_stopping_patience=train["patience"])],
        peft_config=LoraConfig(
            r=lora["rank"],
            lora_alpha=lora["alpha"],
            lora_dropout=lora["dropout"],
            target_modules=lora["targets"],
            task_type="CAUSAL_LM",
        ),
    )
    trainer.train()
    trainer.save_model(str(out / "adapter"))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
