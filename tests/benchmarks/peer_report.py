"""What `peers.py` measured, as figures for the file and as tables for the reader."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from typing import Any

import numpy as np
import scoring
from peer_environments import IN_PROCESS, REMANENCE, System
from peer_runs import Run

_COLUMNS = (
    "p50 ms",
    "p95 ms",
    "CPU ms a query",
    "RSS MB",
    "disk MB",
    "first answer s",
    "import ms an exchange",
)
_PROTOTYPE = "prototype"
_WIDTH = 17  # of a column
_ALLOWED = 2.0  # times the prototype's latency, over LSP: the rule


def costs(runs: Mapping[System, Run], exchanges: int, bare_s: float) -> dict[str, Any]:
    """Each system's figures, all better when lower; and Remanence's as a share of each other's."""
    figures: dict[str, Any] = {"bare embedder": {"ms an exchange": round(bare_s * 1000, 3)}}
    for system, run in runs.items():
        figures[system.title] = _system(system, run, exchanges, bare_s)
    ours = figures.get(REMANENCE.title, {})
    for system in runs:
        theirs = figures[system.title]
        if system != REMANENCE and "failed" not in ours and "failed" not in theirs:
            theirs["Remanence's share of it"] = {
                name: round(ours[name] / theirs[name], 3)
                for name in _COLUMNS
                if ours.get(name) and theirs.get(name)
            }
    return figures


def _system(system: System, run: Run, exchanges: int, bare_s: float) -> dict[str, Any]:
    network = {"reached for the network": sorted(run.network)} if run.network else {}
    if run.failed is not None:
        return {"failed": run.failed, **network}
    figures: dict[str, Any] = {
        "p50 ms": round(float(np.percentile(run.ms, 50)), 3),
        "p95 ms": round(float(np.percentile(run.ms, 95)), 3),
        "CPU ms a query": round(run.cpu_s / len(run.ms) * 1000, 3),
        "RSS MB": round(sum(run.rss_mb.values()), 1),
        "disk MB": round(run.disk_mb, 2),
        "first answer s": round(statistics.median(run.cold_s), 3),
    }
    if len(run.rss_mb) > 1:
        figures["RSS MB of each"] = {name: round(value, 1) for name, value in run.rss_mb.items()}
    if run.imported and system != IN_PROCESS:
        own = run.imported["seconds"] / exchanges
        embedding = run.imported["embedding"] / exchanges if "embedding" in run.imported else bare_s
        if system == REMANENCE or not system.by_meaning:  # its own work holds it, or there is none
            embedding = 0.0
        figures["import ms an exchange"] = round((own + embedding) * 1000, 3)
        if system == REMANENCE:
            figures["import, by stage, s"] = {
                name: round(run.imported[name], 2) for name in ("stored", "seconds", "with keywords")
            }
        else:
            figures["import ms an exchange, its own work"] = round(own * 1000, 3)
    return figures | network


def print_quality(figures: Mapping[str, Any]) -> None:
    """One block a line of the table; the best of each column is marked."""
    for name, line in figures.items():
        systems = {title: each for title, each in line.items() if title not in ("n", "above")}
        print(f"\n{name} ({line['n']})".ljust(40) + "".join(f"{metric:>9}" for metric in scoring.METRICS))
        for title, each in systems.items():
            best = [max(other[metric] for other in systems.values()) for metric in scoring.METRICS]
            marks = ["*" if each[m] >= top else " " for m, top in zip(scoring.METRICS, best, strict=True)]
            values = [f"{each[m]:>8.3f}{mark}" for m, mark in zip(scoring.METRICS, marks, strict=True)]
            print(f"  {title:<37}" + "".join(values))
        for metric, apart in line.get("above", {}).items():
            verdict = "above" if apart["mean"] >= 0 else "below, noise" if apart["high"] >= 0 else "BELOW"
            print(
                f"    {metric} {apart['mean']:+.3f} [{apart['low']:+.3f} {apart['high']:+.3f}] "
                f"{verdict} {apart['best other']}"
            )


def print_costs(figures: Mapping[str, Any]) -> None:
    """Remanence's own figures, and everyone else's with how many times Remanence's they are."""
    ours = figures.get(REMANENCE.title, {})
    print(
        f"\n{'(× Remanence)':<26}"
        + "".join(f"{column.replace(' an exchange', '/ex.'):>{_WIDTH}}" for column in _COLUMNS)
    )
    for title, each in figures.items():
        if "failed" in each:
            print(f"  {title:<24}  failed: {each['failed']}")
        elif "p50 ms" in each:
            print(f"  {title:<24}" + "".join(_cell(each.get(name), ours.get(name)) for name in _COLUMNS))
    for title, each in figures.items():
        for what in each.get("reached for the network", []):
            print(f"  {title} reached for the network, in vain: {what}")
    if "p50 ms" in ours and "p50 ms" in figures.get(_PROTOTYPE, {}):
        times = [ours[name] / figures[_PROTOTYPE][name] for name in ("p50 ms", "p95 ms")]
        held = "held" if max(times) <= _ALLOWED else "NOT held"
        both = f"× {times[0]:.2f} (p50) and × {times[1]:.2f} (p95) of the prototype"
        print(f"  over LSP {both}; at most × {_ALLOWED:.0f} is {held}")


def _cell(value: float | None, ours: float | None) -> str:
    if value is None:
        return f"{'–':>{_WIDTH}}"
    times = f" (×{value / ours:.2g})" if ours else ""
    return f"{f'{value:.4g}{times}':>{_WIDTH}}"
