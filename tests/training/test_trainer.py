"""The training process on a real tiny model: it learns, ends when asked, goes on after a kill."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

import tiny_llama
from remanence.training import training_process
from remanence.training.recipe import Recipe, parse_recipe
from remanence.training.run_folder import Progress, RunFolder, TrainingRun
from remanence.training.training_process import TrainingEnded, TrainingError, follow

pytestmark = pytest.mark.e2e

LEARNED = [fact.adapted for fact in tiny_llama.FACTS[:6]]
KNOWN = tiny_llama.FACTS[6:]
RECIPE = """
name = "test"
[base]
dtype = "float32"
[train]
learning_rate = 5e-3
batch_size = 8
epochs = {epochs}
max_length = 64
evaluate_every = 10
[care]
only_on_mains = false
threads = 1
"""


def recipe(epochs: int = 8) -> Recipe:
    return parse_recipe(RECIPE.format(epochs=epochs))


def rows_of(facts: Sequence[tiny_llama.Fact]) -> str:
    turns = [
        {
            "messages": [
                {"role": "user", "content": fact.question},
                {"role": "assistant", "content": fact.answer},
            ]
        }
        for fact in facts
    ]
    return "".join(json.dumps(turn) + "\n" for turn in turns)


def run_of(folder: Path, *stages: Sequence[tiny_llama.Fact], epochs: int = 8) -> RunFolder:
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"stage-{number}.jsonl" for number in range(len(stages))]
    for path, facts in zip(paths, stages, strict=True):
        path.write_text(rows_of(facts))
    run = RunFolder(folder / "run")
    run.create(
        TrainingRun(
            base=str(tiny_llama.folder()), recipe=recipe(epochs), stages=[str(path) for path in paths]
        )
    )
    return run


def never() -> bool:
    return False


def quietly(_: Progress) -> None:
    """Nobody looks."""


def answers(adapter: Path, facts: Sequence[tiny_llama.Fact]) -> list[str]:
    """What the model with the adapter says, greedily."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    torch.set_num_threads(1)
    tokenizer = AutoTokenizer.from_pretrained(str(tiny_llama.folder()))
    base = AutoModelForCausalLM.from_pretrained(str(tiny_llama.folder()), dtype=torch.float32)
    model = PeftModel.from_pretrained(base, str(adapter)).eval()
    said: list[str] = []
    for fact in facts:
        prompt = tokenizer.apply_chat_template(
            [{"role": "user", "content": fact.question}],
            add_generation_prompt=True,
            return_tensors="pt",
            return_dict=True,
        )
        with torch.inference_mode():
            written = model.generate(**prompt, max_new_tokens=24, do_sample=False)
        said.append(tokenizer.decode(written[0, prompt["input_ids"].shape[1] :], skip_special_tokens=True))
    return said


def wait_until(holds: Callable[[], bool]) -> None:
    for _ in range(1200):
        if holds():
            return
        time.sleep(0.1)
    raise AssertionError("it did not happen within two minutes")


def test_what_was_trained_is_answered_and_progress_was_told(tmp_path: Path) -> None:
    run = run_of(tmp_path, [*LEARNED, *KNOWN], epochs=25)
    told: list[Progress] = []
    last = follow(run, told.append, never)
    assert last.state == "done"
    assert last.step == last.steps > 0
    assert last.loss is not None
    assert any(progress.state == "training" for progress in told)
    assert [said.strip() for said in answers(run.adapter, LEARNED)] == [fact.answer for fact in LEARNED]


def test_stages_follow_each_other_and_the_first_is_not_lost(tmp_path: Path) -> None:
    run = run_of(tmp_path, LEARNED[:3], LEARNED, epochs=40)
    last = follow(run, quietly, never)
    assert (last.stage, last.stages) == (2, 2)
    assert [said.strip() for said in answers(run.adapter, LEARNED)] == [fact.answer for fact in LEARNED]


def test_a_run_that_was_ended_keeps_a_checkpoint_and_goes_on(tmp_path: Path) -> None:
    run = run_of(tmp_path, LEARNED, epochs=400)
    with pytest.raises(TrainingEnded):
        follow(run, quietly, lambda: (run.progress() or Progress(state="starting")).step >= 5)
    ended = run.progress()
    assert ended is not None
    assert ended.state == "cancelled"
    assert list(run.stage(0).glob("checkpoint-*"))
    training_process.start(run)
    wait_until(lambda: (run.progress() or ended).step > ended.step)
    with pytest.raises(TrainingEnded):
        follow(run, quietly, lambda: True)


def test_a_killed_run_is_begun_again_where_it_was(tmp_path: Path) -> None:
    run = run_of(tmp_path, LEARNED, epochs=60)
    killed: list[int] = []

    def kill_once(progress: Progress) -> None:
        process = run.process()
        if progress.step >= 35 and not killed and process is not None:
            killed.append(progress.step)
            process.kill()
            process.wait(10)

    last = follow(run, kill_once, never)
    assert killed
    assert last.state == "done"
    steps = [progress.step for progress in run.history()]
    after_kill = steps[steps.index(killed[0]) + 1 :]
    assert min(step for step in after_kill if step) > 1  # not from the beginning


def test_whoever_stops_watching_does_not_end_the_run(tmp_path: Path) -> None:
    run = run_of(tmp_path, LEARNED, epochs=400)

    def stop_watching(_: Progress) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        follow(run, stop_watching, never)
    process = run.process()
    assert process is not None
    with pytest.raises(TrainingEnded):
        follow(run, quietly, lambda: True)
    assert not process.is_running()


def test_a_base_that_is_no_model_is_told_in_words(tmp_path: Path) -> None:
    stage = tmp_path / "stage.jsonl"
    stage.write_text(rows_of(LEARNED))
    run = RunFolder(tmp_path / "run")
    run.create(TrainingRun(base=str(tmp_path), recipe=recipe(), stages=[str(stage)]))
    with pytest.raises(TrainingError, match=r"config\.json"):
        follow(run, quietly, never)
