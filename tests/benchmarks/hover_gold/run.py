"""What a hover shows, against what it should: a small set of places in source files, judged by hand.

    python tests/benchmarks/hover_gold/run.py [--data DIR] [--verbose] [--json FILE]

The memory holds the demo conversations and distractors.jsonl; with --data also beam_500k_coding and conala,
read from DIR as `recall_quality.py` does. Store, indexes and embedder are the real ones, and each query is
what `lsp/hover.py` would ask. The halves are by the hash of file and line: chosen on A, checked on B.
The files were written beside the conversations and often name things as an answer does: expect less of
files whose authors kept no answer's names. Some of conala fits places that count as "nothing relevant".
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from evaluation_sets import half_of, read_lines
from hover_positions import DISTRACTORS, KINDS, Position, positions
from results import run_facts, write_results
from vector_cache import CACHE, ROOT

from remanence.engine import messages as m
from remanence.engine.service import Service, open_service
from remanence.lsp.hover import request_for
from remanence.lsp.options import HoverOptions
from remanence.lsp.under_cursor import Subject, subject_at
from remanence.paths import Home

sys.path.insert(0, str(ROOT / "tests" / "engine"))

from service_in_process import finished, never

MODEL = CACHE / "remanence" / "models" / "all-MiniLM-L6-v2"
CONVERSATIONS = ROOT / "configs" / "demo" / "conversations.jsonl"
FURTHER = ("beam_500k_coding", "conala")
LIMIT = HoverOptions().limit


@dataclass(frozen=True, slots=True)
class Hovered:
    """A place, what was found to be under the cursor, and the external ids of what was shown."""

    position: Position
    subject: Subject | None
    shown: list[str]

    @property
    def rank(self) -> int | None:
        """Of the first relevant one, from 1."""
        return next((i for i, each in enumerate(self.shown, 1) if each in self.position.relevant), None)

    @property
    def half(self) -> str:
        return half_of(f"{self.position.file}:{self.position.line}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, help="the folder of the shared sets: further distractors")
    parser.add_argument("--home", type=Path, help="keep this benchmark's memory here, for later runs")
    parser.add_argument("--verbose", action="store_true", help="list what was missed")
    parser.add_argument("--json", type=Path, help="write the figures here")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = Home(given.home or Path(folder) / "home").create()
        if not (home.models / MODEL.name).exists():
            (home.models / MODEL.name).symlink_to(MODEL, target_is_directory=True)
        # keywords come seconds to minutes later and move ranks a little: figures must not depend on when
        if not home.settings.exists():
            home.settings.write_text("[keywords]\nper_exchange = 0\n", encoding="utf-8")
        service = open_service(home)
        try:
            exchanges = remember(service, given.data, Path(folder))
            hovered = [hover(service, each) for each in positions()]
        finally:
            service.close()
    figures = report(hovered)
    if given.verbose:
        list_misses(hovered)
    if given.json:
        write_results(given.json, "hover_gold", run_facts(exchanges=exchanges), figures)


def remember(service: Service, data: Path | None, folder: Path) -> int:
    """Import the conversations and every distractor; the number of exchanges once all can be found."""
    sources = [CONVERSATIONS, DISTRACTORS]
    if data is not None:
        for name in FURTHER:
            sources.append(folder / f"{name}.jsonl")
            with sources[-1].open("w", encoding="utf-8") as file:
                file.writelines(f"{json.dumps(each)}\n" for each in further(data / name))
    for path in sources:
        started = service.jobs.import_(m.ImportRequest(source="jsonl", path=str(path)), never)
        job = finished(service, started.job_id)
        assert job.state == "done", job
        assert not job.figures.get("failed"), job
    while True:
        status = service.status(m.Empty(), never)
        waiting = status.pending_by.embedding + status.pending_by.indexing
        if not waiting and not status.degraded:
            return status.exchanges
        if sys.stderr.isatty():
            print(
                f"{waiting} of {status.exchanges} exchanges are not indexed yet \r", end="", file=sys.stderr
            )
        time.sleep(0.2)


def further(folder: Path) -> Iterator[dict[str, Any]]:
    fields = ("id", "question", "answer", "timestamp", "source", "conversation_id")
    for each in read_lines(folder / "exchanges.jsonl.gz"):
        yield {name: each[name] for name in fields}


def hover(service: Service, position: Position) -> Hovered:
    """What an editor would show here."""
    lines = position.lines
    subject = subject_at(lines, position.line - 1, position.column, position.language_id)
    if subject is None:
        return Hovered(position, None, [])
    uri = f"file:///ledgerline/{position.file}"
    recalled = service.recall(request_for(subject, uri, position.language_id, LIMIT), never)
    return Hovered(position, subject, [each.external_id or "" for each in recalled.memories])


def report(hovered: Sequence[Hovered]) -> dict[str, Any]:
    """Print hit@1, hit@3 and MRR by kind, and how often hover stays silent where it should; return them."""
    figures: dict[str, Any] = {}
    print(f"{'':<14}{'half':<6}{'n':>4}{'hit@1':>8}{'hit@3':>8}{'MRR':>8}{'empty':>8}")
    halves: list[tuple[str, Callable[[Hovered], bool]]] = [
        ("A", lambda each: each.half == "A"),
        ("B", lambda each: each.half == "B"),
        ("both", lambda _: True),
    ]
    wanted = [each for each in hovered if each.position.relevant]
    for kind in (*KINDS, "all"):
        for half, is_in in halves if kind == "all" else halves[-1:]:
            chosen = [each for each in wanted if is_in(each) and kind in (each.position.kind, "all")]
            line = _figures(chosen)
            figures.setdefault(kind, {})[half] = line
            print(
                f"{kind:<14}{half:<6}{line['n']:>4}{line['hit@1']:>8.3f}{line['hit@3']:>8.3f}"
                f"{line['MRR']:>8.3f}{line['empty']:>8.3f}"
            )
    for half, is_in in halves:
        none = [each for each in hovered if not each.position.relevant and is_in(each)]
        silent = sum(not each.shown for each in none) / len(none)
        figures.setdefault("nothing relevant", {})[half] = {"n": len(none), "silent": silent}
        print(f"{'nothing':<14}{half:<6}{len(none):>4}{'':>24}{silent:>8.3f}")
    return figures


def _figures(chosen: Sequence[Hovered]) -> dict[str, float]:
    ranks = [each.rank for each in chosen]
    count = len(chosen)
    return {
        "n": count,
        "hit@1": sum(rank == 1 for rank in ranks) / count,
        "hit@3": sum(rank is not None and rank <= 3 for rank in ranks) / count,
        "MRR": sum(1 / rank for rank in ranks if rank) / count,
        "empty": sum(not each.shown for each in chosen) / count,
    }


def list_misses(hovered: Sequence[Hovered]) -> None:
    for each in hovered:
        missed = each.position.relevant and (each.rank is None or each.rank > 3)
        if missed or (each.shown and not each.position.relevant):
            asked = each.subject.query.replace("\n", " ⏎ ") if each.subject else "nothing under the cursor"
            wanted = ", ".join(sorted(each.position.relevant)) or "nothing"
            print(f"\n{each.half} {each.position} ({each.position.kind})\n   asked:  {asked}")
            print(f"   wanted: {wanted}\n   shown:  {', '.join(each.shown) or 'nothing'}")


if __name__ == "__main__":
    main()
