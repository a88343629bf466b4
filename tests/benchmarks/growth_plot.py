"""Growth as an SVG: time against the number of memories, both axes logarithmic.

    python tests/benchmarks/growth_plot.py RESULTS.json tests/benchmarks/growth.svg

RESULTS.json is what `recall_scale.py --json` wrote.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

_WIDTH, _HEIGHT = 720, 420
_LEFT, _RIGHT, _TOP, _BOTTOM = 62, 226, 22, 48
_COLOURS = ("#0b6e99", "#5fb0d3", "#b35900", "#8a4fa3", "#3a7d44")
_INK, _FAINT = "#444", "#ddd"
_AIM_MS = 25.0

Line = Sequence[tuple[float, float]]


def growth_lines(figures: Mapping[str, Mapping[str, Mapping[str, float]]]) -> dict[str, Line]:
    """p95 in milliseconds by size, of each system, from the figures of `recall_scale.py`."""
    wanted = {
        "recall, over LSP": ("remanence", "recall_p95_ms"),
        "hover, over LSP": ("remanence", "hover_p95_ms"),
        "prototype, in process": ("prototype", "recall_p95_ms"),
        "flat vectors + FTS5, in process": ("flat_fts5", "recall_p95_ms"),
    }
    sizes = sorted((size for size in figures if size.isdigit()), key=int)
    lines = {
        name: [(float(size), figures[size][system][key]) for size in sizes if system in figures[size]]
        for name, (system, key) in wanted.items()
    }
    return {name: line for name, line in lines.items() if line}


def growth_svg(lines: Mapping[str, Line], caption: str) -> str:
    """The plot of lines of (size, milliseconds), with the aim drawn in."""
    points = [point for line in lines.values() for point in line]
    x0, x1 = min(x for x, _ in points), max(x for x, _ in points)
    y0 = 10 ** math.floor(math.log10(min(y for _, y in points)))
    y1 = 10 ** math.ceil(math.log10(max(_AIM_MS, *(y for _, y in points))))

    def at(x: float, y: float) -> tuple[float, float]:
        across = math.log(x / x0) / math.log(x1 / x0) if x1 > x0 else 0.5
        up = math.log(y / y0) / math.log(y1 / y0)
        plot = (_WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM)
        return _LEFT + across * plot[0], _HEIGHT - _BOTTOM - up * plot[1]

    drawn: list[str] = []
    for decade in range(round(math.log10(y0)), round(math.log10(y1)) + 1):
        (left, height), (right, _) = at(x0, 10.0**decade), at(x1, 10.0**decade)
        drawn.append(_stroke([(left, height), (right, height)], _FAINT, 1))
        drawn.append(_text(left - 8, height + 4, _time(10.0**decade), "end"))
    for size in sorted({x for x, _ in points}):
        across, bottom = at(size, y0)
        drawn.append(_stroke([(across, bottom), (across, bottom + 5)], _INK, 1))
        drawn.append(_text(across, bottom + 19, _short(size), "middle"))
    (left, height), (right, _) = at(x0, _AIM_MS), at(x1, _AIM_MS)
    drawn.append(_stroke([(left, height), (right, height)], "#c00", 1.5, dashes="5 4"))
    labels = [(height, f"aim at a million: {_AIM_MS:g} ms", "#c00")]
    for (name, line), colour in zip(lines.items(), _COLOURS, strict=False):
        places = [at(*point) for point in line]
        drawn.append(_stroke(places, colour, 2.2))
        drawn += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in places]
        labels.append((places[-1][1], name, colour))
    lowest = -math.inf
    for height, name, colour in sorted(labels):  # beside the ends of the lines, not one over another
        lowest = max(height + 4, lowest + 15)
        drawn.append(_text(right + 10, lowest, name, "start", colour))
    drawn.append(_text(_LEFT, _HEIGHT - 8, caption, "start"))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        f'aria-label="{escape(caption)}" font-family="sans-serif" font-size="12">\n'
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#fff"/>\n' + "\n".join(drawn) + "\n</svg>\n"
    )


def _stroke(places: Sequence[tuple[float, float]], colour: str, width: float, dashes: str = "none") -> str:
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    style = f'fill="none" stroke="{colour}" stroke-width="{width}" stroke-dasharray="{dashes}"'
    return f'<polyline points="{points}" {style}/>'


def _text(x: float, y: float, text: str, anchor: str, colour: str = _INK) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}">{escape(text)}</text>'


def _time(ms: float) -> str:
    return f"{ms / 1e3:g} s" if ms >= 1e3 else f"{ms:g} ms"


def _short(size: float) -> str:
    return f"{size / 1e6:g} M" if size >= 1e6 else f"{size / 1e3:g} k" if size >= 1e3 else f"{size:g}"


def write_plot(path: Path, figures: Mapping[str, Mapping[str, Mapping[str, float]]], caption: str) -> None:
    """Draw the figures of `recall_scale.py` into a file."""
    path.write_text(growth_svg(growth_lines(figures), caption), encoding="utf-8")
    print(f"written: {path}")


def plot_caption(date: object, cores: object) -> str:
    return f"Milliseconds at the 95th percentile against the number of memories; {cores} cores, {date}"


if __name__ == "__main__":
    results = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    run = results["run"]
    write_plot(Path(sys.argv[2]), results["figures"], plot_caption(run["date"], run["machine"]["cores"]))
