"""Before and after, with and without recall: the product's whole chain, as the README tells of it.

    python tests/benchmarks/training_table.py [--base FOLDER] [--recipe NAME] [--facts N] [--json FILE]

A real engine in this process: things are said in exchanges, the rules draw facts, some of which take
another's place; `train` makes the dataset, trains, asks base and adapter with and without recall, and judges.
Printed is the adapter's own report.

Without --base a tiny Llama is taken that knows the forms of the questions and other facts, not these, and
has learned to read what recall puts before a question (`tests/tiny_learner.py`). --base is any Hugging Face
folder of an instruct model.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import msgspec
from results import LEARNING, run_facts, write_results
from vector_cache import MODEL

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "engine"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from service_in_process import indexed, never

import tiny_learner
from remanence.engine import learning_messages as lm
from remanence.engine import messages as m
from remanence.engine.service import Service, open_service
from remanence.paths import Home
from remanence.training.recipe import shipped_recipes

FACTS = 24

_MOVED = 3  # every so many
_FIRST_DAY, _DAY = 1_740_000_000_000, 86_400_000


def measure(base: Path, recipe: str, facts: int = FACTS) -> dict[str, Any]:
    """Run the chain in a data directory of its own, print its table, give its figures."""
    with tempfile.TemporaryDirectory(prefix="remanence-table-") as folder:
        home = Home(Path(folder) / "home").create()
        (home.models / MODEL.name).symlink_to(MODEL, target_is_directory=True)
        home.settings.write_text(
            f'[keywords]\nper_exchange = 0\n[language_models]\nuse = "base"\n'
            f"[language_models.models.base]\npath = {json.dumps(str(base))}\nthreads = 1\n",
            encoding="utf-8",
        )
        service = open_service(home)
        try:
            return _chain(service, recipe, facts)
        finally:
            service.close()


def _chain(service: Service, recipe: str, facts: int) -> dict[str, Any]:
    _say(service, facts)
    indexed(service)
    begun = time.perf_counter()
    asked = lm.TrainRequest(recipe=str(_on_this_machine(service, recipe)))
    started = service.handlers()["train"](asked, never)
    assert isinstance(started, lm.TrainResponse)
    assert started.job_id is not None
    job = _finished(service, started.job_id)
    if job.state != "done":
        raise SystemExit(f"training ended: {job.state}, {job.error}")
    listed = service.handlers()["adapters"](lm.AdaptersRequest(), never)
    assert isinstance(listed, lm.AdaptersResponse)
    (adapter,) = listed.adapters
    folder = Path(adapter.folder)
    print(f"\n{(folder / 'report.md').read_text(encoding='utf-8')}")
    return {
        "facts": len(started.plan.facts),
        "rows": started.plan.rows,
        "steps": started.plan.steps,
        "estimated": {"seconds": started.plan.seconds, "memory_mb": started.plan.memory_mb},
        "seconds": round(time.perf_counter() - begun, 1),
        "trained": job.figures,
        "passed": adapter.passed,
        "reasons": list(adapter.reasons),
        "evaluation": json.loads(msgspec.json.encode(adapter.evaluation)),
    }


def _say(service: Service, count: int) -> None:
    """Ports, each in an exchange of its own; a third of them moved since, and both were said."""
    stayed = tiny_learner.SERVICES[: count - count // _MOVED]
    moved = [
        each.moved(str(11 * (2 + number % 8)))
        for number, each in enumerate(tiny_learner.SERVICES[len(stayed) : count])
    ]
    texts = [*(each.said for each in stayed), *(each.said_before for each in moved)]
    texts += [each.said for each in moved]
    for day, text in enumerate(texts):
        request = m.CaptureRequest(question=text, answer="Noted.", asked_at=_FIRST_DAY + day * _DAY)
        service.capture(request, never)


def _on_this_machine(service: Service, recipe: str) -> Path:
    """The recipe with one thread, and on battery too; the rest as it is."""
    text = shipped_recipes().get(recipe, Path(recipe)).read_text(encoding="utf-8")
    if "[care]" in text:
        raise SystemExit(f"{recipe} has a [care] of its own: take one without, this adds its own.")
    path = service.home.root / "recipe.toml"
    path.write_text(f"{text}\n[care]\nonly_on_mains = false\nthreads = 1\n", encoding="utf-8")
    return path


def _finished(service: Service, job_id: str) -> m.Job:
    told = ""
    while True:
        (job,) = service.jobs.jobs(m.JobsRequest(job_id=job_id), never).jobs
        if job.state not in ("queued", "running"):
            return job
        step = job.message.partition(",")[0]
        if step != told:
            told = step
            print(f"  {job.progress:.0%} {job.message}", flush=True)
        time.sleep(2)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--base", type=Path, help="a Hugging Face folder of an instruct model")
    parser.add_argument("--recipe", default="cpu-tiny")
    parser.add_argument("--facts", type=int, default=FACTS, metavar="N")
    parser.add_argument("--json", type=Path, metavar="FILE")
    given = parser.parse_args()
    base = given.base or tiny_learner.folder()
    figures = measure(base, given.recipe, given.facts)
    if given.json:
        write_results(
            given.json, "training_table", run_facts(libraries=LEARNING, recipe=given.recipe), figures
        )


if __name__ == "__main__":
    main()
