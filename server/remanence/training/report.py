"""What an evaluation found, for programs (JSON), for people (Markdown), and drawn. It quotes no memory."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import get_args

import msgspec
from msgspec import Struct

from remanence.memory.timestamps import to_iso
from remanence.training.bars import bars
from remanence.training.evaluation import Kind, Score
from remanence.training.gate import Comparison, Verdict

_KINDS: tuple[Kind, ...] = get_args(Kind)
_ABOUT: dict[Kind, str] = {
    "paraphrase": "facts, in words not learned",
    "reversed": "facts, asked the other way round",
    "superseded": "facts that took another's place",
    "never": "what was never said (right: to say so)",
    "general": "general questions",
    "decision": "decisions about facts",
    "extraction": "facts of an exchange",
}


class Report(Struct, frozen=True, kw_only=True):
    """One evaluation of an adapter. `adapter` is its id, `asked` how many questions each of the four had."""

    adapter: str
    base: str
    recipe: str
    created_at: int
    asked: int
    seconds: float
    comparison: Comparison
    verdict: Verdict


def columns(comparison: Comparison) -> dict[str, dict[Kind, Score]]:
    """The four sides by name, in the order they are told."""
    return {
        "base": comparison.base,
        "adapter": comparison.adapter,
        "base with recall": comparison.base_with_recall,
        "adapter with recall": comparison.adapter_with_recall,
    }


def write_report(report: Report, folder: Path) -> None:
    """report.json, report.md and report.svg in a folder. Raises OSError."""
    _write(folder / "report.json", msgspec.json.format(msgspec.json.encode(report)))
    _write(folder / "report.md", markdown(report).encode())
    _write(folder / "report.svg", plot(report).encode())


def markdown(report: Report) -> str:
    """A table of shares answered right with their 95 % intervals, and the verdict with its reasons."""
    sides = columns(report.comparison)
    lines = [
        f"# Adapter {report.adapter}",
        "",
        f"Trained on `{report.base}` with the recipe {report.recipe}, evaluated {to_iso(report.created_at)}:"
        f" {report.asked} questions to each side, {report.seconds:.0f} s.",
        "",
        f"| asked | n | {' | '.join(sides)} |",
        f"|---|---|{'---|' * len(sides)}",
    ]
    for kind in _asked_kinds(sides):
        cells = [_cell(scores.get(kind)) for scores in sides.values()]
        count = max(scores[kind].n for scores in sides.values() if kind in scores)
        lines.append(f"| {_ABOUT[kind]} | {count} | {' | '.join(cells)} |")
    said = "passed the gate" if report.verdict.passed else "refused by the gate"
    lines += ["", f"It {said}:", "", *(f"- {reason}" for reason in report.verdict.reasons), ""]
    return "\n".join(lines)


def plot(report: Report) -> str:
    """Bars of the shares answered right, a group for each kind of question."""
    sides = columns(report.comparison)
    groups = {
        _ABOUT[kind]: [scores[kind].exact if kind in scores else None for scores in sides.values()]
        for kind in _asked_kinds(sides)
    }
    return bars(groups, list(sides), f"Share answered right, adapter {report.adapter}")


def _asked_kinds(sides: Mapping[str, Mapping[Kind, Score]]) -> list[Kind]:
    return [kind for kind in _KINDS if any(kind in scores for scores in sides.values())]


def _cell(score: Score | None) -> str:
    if score is None:
        return "–"
    further = {
        "stale": score.stale or None,
        "valid JSON": score.valid,
        "macro-F1": score.decision_f1,
        "precision": score.precision,
        "recall": score.recall,
    }
    told = "".join(f", {share:.0%} {name}" for name, share in further.items() if share is not None)
    return f"{score.exact:.0%} ({score.low:.0%}–{score.high:.0%}{told})"


def _write(path: Path, content: bytes) -> None:
    with open(path, "wb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
        file.write(content)
