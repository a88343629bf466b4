"""Shares drawn as bars: SVG, which every browser shows and which needs no library."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

_COLOURS = ("#bbb", "#0b6e99", "#e0b48a", "#b35900")
_INK, _FAINT = "#444", "#ddd"
_LEFT, _TOP, _BAR, _GAP, _WIDTH = 210, 46, 12, 16, 720


def bars(groups: Mapping[str, Sequence[float | None]], names: Sequence[str], caption: str) -> str:
    """Horizontal bars from 0 to 1 as SVG; each group has one for each of `names`, or None."""
    room = _WIDTH - _LEFT - 60
    drawn: list[str] = []
    for place, name in enumerate(names):
        across = _LEFT + place * 125
        drawn.append(f'<rect x="{across}" y="12" width="10" height="10" fill="{_COLOURS[place]}"/>')
        drawn.append(_text(across + 14, 21, name))
    top = _TOP
    for group, values in groups.items():
        drawn.append(_text(_LEFT - 10, top + _BAR * len(names) / 2 + 4, group, "end"))
        for place, value in enumerate(values):
            if value is not None:
                height = top + place * _BAR
                drawn.append(
                    f'<rect x="{_LEFT}" y="{height}" width="{max(value * room, 1):.1f}"'
                    f' height="{_BAR - 2}" fill="{_COLOURS[place]}"/>'
                )
                drawn.append(_text(_LEFT + value * room + 6, height + 9, f"{value:.0%}"))
        top += _BAR * len(names) + _GAP
    lines = [f'<path d="M{_LEFT},{_TOP - 6}V{top}" stroke="{_INK}"/>']
    for tenth in (5, 10):
        across = _LEFT + room * tenth / 10
        lines.append(f'<path d="M{across},{_TOP - 6}V{top}" stroke="{_FAINT}"/>')
    drawn.append(_text(_LEFT, top + 20, caption))
    height = top + 32
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img" '
        f'aria-label="{escape(caption)}" font-family="sans-serif" font-size="11">\n'
        f'<rect width="{_WIDTH}" height="{height}" fill="#fff"/>\n' + "\n".join(lines + drawn) + "\n</svg>\n"
    )


def _text(x: float, y: float, text: str, anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{_INK}">{escape(text)}</text>'
