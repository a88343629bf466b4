"""How often recall that nobody asked for (hover, enrichment) speaks where it should be silent.

Kept: of the questions that a set answers and whose first ten memories hold a relevant one, those for which
an automatic recall returns anything. Leaks: of the questions that nothing in the store answers, those for
which it does all the same. Both over whole sets, at the gate that recall ships and at one that keeps 95 %.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from evaluation_sets import DEMO, Question, sample
from numpy.typing import NDArray
from set_store import SetStore

from remanence.memory import fusion

Floats = NDArray[np.float64]

ANSWERED = 400  # questions of each set: evidence takes eleven recalls each
FOREIGN = 200  # questions of another set's topic, for each pair
KEPT = (0.99, 0.95, 0.90, 0.80)
# store and whose questions; two programming sets are no pair: many answers would be right
PAIRS = [
    ("locomo", "conala"),
    ("conala", "locomo"),
    ("locomo", "beam_500k_coding"),
    ("beam_500k_coding", "beam_500k_general"),
    ("beam_500k_general", "beam_500k_coding"),
    ("beam_500k_general", "conala"),
    ("mconala_es", "locomo"),
    ("memorycode", "beam_500k_general"),
    ("locomo", "memorycode"),
    (DEMO, "locomo"),
    (DEMO, "beam_500k_general"),
]


@dataclass(frozen=True)
class Answered:
    """Of one set's good questions: the evidence for each, and whether the shipped gate lets through
    anything (`spoken`), and a relevant memory (`right`): (n,) each."""

    evidence: Floats
    spoken: NDArray[np.bool_]
    right: NDArray[np.bool_]


def abstention(stores: Mapping[str, SetStore], most: int | None = None) -> dict[str, Any]:
    """Both shares, printed and returned. Every set and every group of foreign questions weighs the same."""
    good = {
        name: _answered(store, sample(store.set.answerable, most or ANSWERED))
        for name, store in stores.items()
    }
    good = {name: each for name, each in good.items() if len(each.evidence)}
    foreign = {label: _evidence(store, questions) for label, store, questions in _foreign(stores)}
    if not good or not foreign:
        return {}
    shipped = fusion.AUTOMATIC_GATE
    gates = {kept: _gate_that_keeps([each.evidence for each in good.values()], kept) for kept in KEPT}
    chosen = gates[0.95]
    print(
        f"\nautomatic recall: kept at the shipped gate {shipped:.3f}, and the set's own gate that keeps 95 %"
    )
    print(f"{'questions with an answer':<48}{'n':>5}{'kept':>8}{'right':>8}{'own gate':>10}")
    figures: dict[str, Any] = {"shipped gate": {"gate": shipped}, "answered": {}, "leak": {}}
    own = {name: _gate_that_keeps([each.evidence], 0.95) for name, each in good.items()}
    for name, each in good.items():
        line = {
            "n": len(each.evidence),
            "kept": _share(each.spoken),
            "right": _share(each.right),
            "gate": round(own[name], 3),
        }
        figures["answered"][name] = line
        print(f"{name:<48}{line['n']:>5}{line['kept']:>8.3f}{line['right']:>8.3f}{line['gate']:>10.3f}")
    print(
        f"\n{'leaks: questions without one':<48}{'n':>5}{'shipped':>9}{f'at {chosen:.3f}':>10}{'own gate':>9}"
    )
    for label, evidence in foreign.items():
        store = label.split(" ← ")[0]
        line = {
            "n": len(evidence),
            "at shipped gate": _share(evidence >= shipped),
            "at 95 % kept": _share(evidence >= chosen),
            "at 95 % of the set kept": _share(evidence >= own.get(store, chosen)),
        }
        figures["leak"][label] = line
        print(f"{label:<48}" + f"{line['n']:>5}{line['at shipped gate']:>9.3f}", end="")
        print(f"{line['at 95 % kept']:>10.3f}{line['at 95 % of the set kept']:>9.3f}")
    print("\nshould have been empty: of the injections, with one foreign question for each good one")
    print(f"{'gate':<20}{'':>8}{'kept':>8}{'leaks':>8}{'should have been empty':>25}")
    at = {"shipped": shipped, **{f"{kept:.0%} kept": gate for kept, gate in gates.items()}}
    figures["gates"] = {}
    for label, gate in at.items():
        kept = float(np.mean([np.mean(each.evidence >= gate) for each in good.values()]))
        leaks = float(np.mean([np.mean(each >= gate) for each in foreign.values()]))
        line = {
            "gate": round(gate, 3),
            "kept": round(kept, 4),
            "leak": round(leaks, 4),
            "should have been empty": round(leaks / max(leaks + kept, 1e-9), 4),
        }
        figures["gates"][label] = line
        print(f"{label:<20}{gate:>8.3f}{kept:>8.3f}{leaks:>8.3f}{line['should have been empty']:>25.3f}")
    return figures


def _answered(store: SetStore, questions: Sequence[Question]) -> Answered:
    """The good ones among these questions."""
    good = [each for each in questions if each.relevant.intersection(store.find("recall", each))]
    spoken = np.zeros(len(good), np.bool_)
    right = np.zeros(len(good), np.bool_)
    for i, question in enumerate(good):
        rows = [each.row.row for each in store.recall(question.text, automatic=True)]
        spoken[i], right[i] = bool(rows), bool(question.relevant.intersection(rows))
    return Answered(_evidence(store, good), spoken, right)


def _evidence(store: SetStore, questions: Sequence[Question]) -> Floats:
    return np.array([store.evidence(each.text) for each in questions], np.float64)


def _foreign(stores: Mapping[str, SetStore]) -> list[tuple[str, SetStore, list[Question]]]:
    """Questions that nothing in the store answers, with what they are and the store."""
    groups = [
        (f"{name} ← its own unanswerable", store, store.set.unanswerable)
        for name, store in stores.items()
        if store.set.unanswerable
    ]
    for name, other in PAIRS:
        if name in stores and other in stores:
            questions = sample(stores[other].set.answerable, FOREIGN)
            groups.append((f"{name} ← {other}", stores[name], questions))
    return groups


def _gate_that_keeps(evidence: Sequence[Floats], kept: float) -> float:
    """The highest gate that this share passes, every group weighing the same."""
    values = np.concatenate(evidence)
    weights = np.concatenate([np.full(len(each), 1 / len(each)) for each in evidence])
    order = np.argsort(values)[::-1]
    passed = np.cumsum(weights[order]) / weights.sum()
    return float(values[order][np.searchsorted(passed, kept - 1e-9)])


def _share(flags: NDArray[np.bool_]) -> float:
    return round(float(np.mean(flags)), 4) if len(flags) else 0.0
