"""Consolidating facts by the rules: time, peak memory, SQL statements and pairs, by how many facts there are.

    python tests/benchmarks/consolidation.py [--sizes N ...] [--quick] [--json FILE]

Memories are made with a seed: what people say of services (ports, versions, paths), a few values of each over
the years, beside what they decide and prefer, of which there is much for one subject. What is measured is the
product's own job (`engine/consolidating.py`) from memories that nothing was drawn from yet: drawing, then
comparing; and once more with every fact compared anew. Each size is a process of its own, so that its peak of
memory is its own; of that the store's and the interpreter's own part is told apart.

The slope is that of time over facts, both as logarithms: 1 is linear, 2 quadratic.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from results import run_facts, write_results

from remanence.engine.consolidating import consolidate
from remanence.engine.facts import FactReading
from remanence.engine.jobs import Jobs
from remanence.memory.database import Database
from remanence.memory.exchange import Exchange
from remanence.memory.fact import Fact
from remanence.memory.fact_store import FactStore
from remanence.memory.identity import identify
from remanence.memory.progress_records import ProgressRecords
from remanence.memory.store import Candidate, Store

SIZES = (1_000, 10_000, 100_000)
QUICK = (300, 1_000, 3_000)
SEED = 20261121

_VALUES = 4  # of each service's port, version or path, over time
_PROJECT = 20  # services of one project
_HOT_SHARE = 0.15  # decisions, tools and preferences: many values of one subject
_BATCH = 1000
_FIRST_DAY, _MOMENT = 1_600_000_000_000, 60_000
_SYLLABLES = [consonant + vowel for consonant in "bdfgklmnprstvz" for vowel in "aeiou"]


def said(count: int) -> Iterator[tuple[str, str]]:
    """What is said, one fact each, with its project; always the same."""
    chance = random.Random(SEED)
    services = [
        ("".join(chance.choices(_SYLLABLES, k=4)), f"project-{number // _PROJECT}")
        for number in range(max(1, round(count * (1 - _HOT_SHARE) / _VALUES)))
    ]
    projects = max(1, len(services) // _PROJECT)
    for number in range(count):
        service, project = services[number % len(services)]
        if chance.random() < _HOT_SHARE:
            thing = "".join(chance.choices(_SYLLABLES, k=3))
            form = chance.choice(
                ("We decided to {} from here.", "We moved to {}.", "I prefer {} for this.", "We use {} here.")
            )
            yield form.format(f"{thing}-{number}"), f"project-{chance.randrange(projects)}"
            continue
        number_said = chance.randrange(1000, 60_000)
        yield (
            (f"The {service} runs on port {number_said} now.", project),
            (f"We are now on {service} {number_said // 100}.{number_said % 100}.", project),
            (f"Our {service} are kept in /srv/{service}/{number_said}.", project),
        )[len(service) % 3 if service < "m" else number % 3]


def fill(store: Store, count: int) -> None:
    """Memories that say so many facts."""
    batch: list[Candidate] = []
    for number, (text, project) in enumerate(said(count)):
        exchange = Exchange(
            question=text,
            answer="Noted.",
            tool="benchmark",
            conversation_id=str(number // 10),
            turn_key=str(number),
            asked_at=_FIRST_DAY + number * _MOMENT,
            workspace=project,
        )
        batch.append(Candidate(exchange, identify(exchange, exchange, store.identity_key), 1))
        if len(batch) == _BATCH:
            store.capture(batch)
            batch = []
    if batch:
        store.capture(batch)


class CountedFacts(FactStore):
    """Counts the pairs that the rules look at."""

    pairs = 0

    def rivals(self, fact: Fact, limit: int = 64) -> list[Fact]:
        found = super().rivals(fact, limit)
        self.pairs += len(found)
        return found


class Statements:
    """Counts what SQLite is asked, by its first word, on the reader of this thread and on the writer."""

    def __init__(self, database: Database) -> None:
        self.counted: Counter[str] = Counter()
        with database.transaction() as writer:
            pass
        for connection in (writer, database.reader()):
            connection.set_trace_callback(self._count)

    def _count(self, statement: str) -> None:
        self.counted[statement.split(maxsplit=1)[0].upper()] += 1


def measure(count: int) -> dict[str, Any]:
    """One size, in this process."""
    with tempfile.TemporaryDirectory(prefix="remanence-facts-") as folder:
        store = Store.open(Path(folder) / "memory.db")
        fill(store, count)
        jobs = Jobs(ProgressRecords(store.database))
        facts = CountedFacts(store.database)
        reading = FactReading(facts)
        rss = _peak_mb()
        first = _timed(jobs, facts, reading, store.database, again=False)
        peak = _peak_mb()
        again = _timed(jobs, facts, reading, store.database, again=True)
        found = {
            "facts": facts.count() + len(facts.superseded(count)),
            "hold": facts.count(),
            "superseded": len(facts.superseded(count)),
            "pending": facts.count_pending(),
            "first": first,
            "again": again,
            "peak_mb": round(peak, 1),
            "peak_grown_mb": round(peak - rss, 1),
            "database_mb": round(store.database.size() / 2**20, 1),
        }
        jobs.close()
        store.close()
    return found


def _timed(
    jobs: Jobs, facts: CountedFacts, reading: FactReading, database: Database, *, again: bool
) -> dict[str, Any]:
    """One job, run in the job's thread as the engine does; SQL is counted there too."""
    told: dict[str, Any] = {}
    failed: list[BaseException] = []

    def work(control: Any) -> None:
        statements = Statements(database)
        facts.pairs = 0
        begun, cpu = time.perf_counter(), time.thread_time()
        try:
            consolidate(control, reading, None, again=again)
        except BaseException as error:
            failed.append(error)
            raise
        told.update(
            seconds=round(time.perf_counter() - begun, 3),
            cpu_s=round(time.thread_time() - cpu, 3),
            pairs=facts.pairs,
            statements=sum(statements.counted.values()),
            **dict(control.figures),
        )

    job = jobs.start("consolidate", "{}", work)
    while jobs.find_live("consolidate") is not None:
        time.sleep(0.01)
    if failed:
        raise SystemExit(f"job {job.job_id} failed: {failed[0]}")
    return told


def _peak_mb() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used / (2**20 if sys.platform == "darwin" else 2**10)


def slope(figures: dict[int, dict[str, Any]], of: Callable[[dict[str, Any]], float]) -> float:
    """Between the smallest and the largest."""
    small, large = min(figures), max(figures)
    return math.log(of(figures[large]) / of(figures[small])) / math.log(large / small)


def show(figures: dict[int, dict[str, Any]]) -> None:
    """A Markdown table."""
    print(
        "| facts | superseded | draw and compare, s | CPU s | ms a fact | statements a fact | pairs a fact |",
        end="",
    )
    print(" compare anew, s | peak MB | of it grown |\n|" + "---|" * 10)
    for each in figures.values():
        first, again, count = each["first"], each["again"], each["facts"]
        print(
            f"| {count:,} | {each['superseded']:,} | {first['seconds']:.1f} | {first['cpu_s']:.1f} |"
            f" {1000 * first['seconds'] / count:.2f} | {first['statements'] / count:.1f} |"
            f" {first['pairs'] / count:.1f} | {again['seconds']:.1f} | {each['peak_mb']:.0f} |"
            f" {each['peak_grown_mb']:.0f} |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", type=int, nargs="+", metavar="N")
    parser.add_argument("--quick", action="store_true", help=f"the sizes {QUICK}")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        print(json.dumps(measure(given.one)))
        return
    load = os.getloadavg()[0]
    figures: dict[int, dict[str, Any]] = {}
    for size in given.sizes or (QUICK if given.quick else SIZES):
        made = subprocess.run(
            [sys.executable, __file__, "--one", str(size)], check=True, capture_output=True, text=True
        )
        figures[size] = json.loads(made.stdout)
    show(figures)
    slopes: dict[str, float] = {}
    if len(figures) > 1:
        slopes = {
            "time": round(slope(figures, lambda each: each["first"]["cpu_s"]), 3),
            "time, compared anew": round(slope(figures, lambda each: each["again"]["cpu_s"]), 3),
            "statements": round(slope(figures, lambda each: each["first"]["statements"]), 3),
        }
        print("\nslope: " + ", ".join(f"{name} {value:.2f}" for name, value in slopes.items()))
    if given.json:
        shown = {"sizes": {str(size): each for size, each in figures.items()}, "slopes": slopes}
        write_results(given.json, "consolidation", run_facts(load=round(load, 2)), shown)


if __name__ == "__main__":
    main()
