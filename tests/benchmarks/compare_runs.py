"""Compare two benchmark results: what changed, and whether for better or worse.

    python tests/benchmarks/compare_runs.py BEFORE.json AFTER.json [--share .01] [--ratio .1] [--fail-below]

Takes any JSON of nested numbers; of our own benchmarks' files only what stands under "figures" is compared.
A figure within 1 in both has changed if it moved by more than --share, any other, and any time or size, if
it moved by more than --ratio of itself. Times, sizes, leaks and errors are better when lower: names tell.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_MEASURED = re.compile(
    r"(^|[^a-z])(ms|s|seconds|minutes|p\d\d|mb|kb|gb|bytes|rss|disk|latency|time|took|cold)([^a-z]|$)"
)
_UNWANTED = re.compile(r"(^|[^a-z])(leak|leaks|leaked|errors?|failed|lost|empty)([^a-z]|$)")
# neither good nor bad; so are the ends of an interval
_NEITHER = {"n", "queries", "count", "gate", "threshold", "low", "high", "rows", "size", "exchanges"}


@dataclass(frozen=True)
class Change:
    """One figure of two runs; `better` is None where its name does not say which way is good."""

    name: str
    before: float
    after: float
    notable: bool
    better: bool | None


def figures(content: object, name: str = "") -> Iterator[tuple[str, float]]:
    """Every number in nested objects and lists, with the path to it."""
    if isinstance(content, bool):
        return
    if isinstance(content, int | float):
        yield name, float(content)
    elif isinstance(content, Mapping):
        for key, value in content.items():
            yield from figures(value, f"{name} / {key}" if name else str(key))
    elif isinstance(content, list):
        for i, value in enumerate(content):
            yield from figures(value, f"{name} / {i}")


def compare(before: object, after: object, share: float, ratio: float) -> list[Change]:
    """The figures that both have, in the order of the second."""
    old = dict(figures(before))
    return [_change(name, old[name], value, share, ratio) for name, value in figures(after) if name in old]


def _change(name: str, before: float, after: float, share: float, ratio: float) -> Change:
    lowered = name.lower()
    measured = _MEASURED.search(lowered) is not None
    is_share = not measured and abs(before) <= 1 and abs(after) <= 1
    moved = after - before
    notable = abs(moved) > (share if is_share else ratio * abs(before)) + 1e-9
    better = (moved < 0) == (measured or _UNWANTED.search(lowered) is not None)
    neither = lowered.rsplit(" / ", 1)[-1] in _NEITHER or moved == 0
    return Change(name, before, after, notable, None if neither else better)


def _compared(path: Path) -> Any:
    content = json.loads(path.read_text(encoding="utf-8"))
    return content.get("figures", content) if isinstance(content, dict) else content


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path)
    parser.add_argument("--share", type=float, default=0.01)
    parser.add_argument("--ratio", type=float, default=0.10)
    parser.add_argument("--all", action="store_true", help="show the figures that hardly moved too")
    parser.add_argument("--fail-below", action="store_true", help="exit status 1 where a figure got worse")
    given = parser.parse_args()
    before, after = _compared(given.before), _compared(given.after)
    changes = compare(before, after, given.share, given.ratio)
    for change in changes:
        if given.all or (change.notable and change.better is not None):
            mark = {True: "better", False: "WORSE", None: ""}[change.better] if change.notable else ""
            moved = change.after - change.before
            print(f"{mark:>6}  {change.before:>10.4g} → {change.after:<10.4g} {moved:>+10.3g}  {change.name}")
    worse = sum(change.notable and change.better is False for change in changes)
    better = sum(change.notable and change.better is True for change in changes)
    print(f"{len(changes)} figures compared: {better} better, {worse} worse, the rest about as before")
    names, old_names = dict(figures(after)), dict(figures(before))
    for path, only in ((given.before, old_names.keys() - names), (given.after, names.keys() - old_names)):
        if only:
            print(f"only in {path}: {', '.join(sorted(only)[:5])}{' …' if len(only) > 5 else ''}")
    return 1 if worse and given.fail_below else 0


if __name__ == "__main__":
    sys.exit(main())
