"""Lines over time as an SVG file that any browser shows; by hand, since one picture is not worth a plotting library."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

WIDTH, HEIGHT, LEFT, TOP, BOTTOM, LEGEND = 960, 420, 60, 40, 40, 190
_COLOURS = (
    "#1b6ca8",
    "#c0392b",
    "#1e8449",
    "#8e44ad",
    "#b9770e",
    "#117a65",
    "#566573",
    "#d35400",
    "#2e4053",
    "#7d6608",
)


def svg(title: str, unit: str, series: Mapping[str, Sequence[tuple[float, float]]]) -> str:
    """A picture.

    Args:
        title: Above it.
        unit: Of the values.
        series: By name, (seconds, value), oldest first.
    """
    points = [point for line in series.values() for point in line]
    last, most = max((t for t, _ in points), default=1.0) or 1.0, max((v for _, v in points), default=1.0) or 1.0
    right, bottom = WIDTH - LEGEND, HEIGHT - BOTTOM

    def x(seconds: float) -> float:
        return LEFT + (right - LEFT) * seconds / last

    def y(value: float) -> float:
        return bottom - (bottom - TOP) * value / most

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" font-family="sans-serif"',
        ' font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        f'<text x="{LEFT}" y="20" font-size="15">{escape(title)}</text>',
    ]
    for i in range(6):
        height, when = y(most * i / 5), x(last * i / 5)
        parts += [
            f'<path d="M{LEFT} {height:.1f}H{right}" stroke="#ddd"/>',
            f'<text x="{LEFT - 6}" y="{height + 4:.1f}" text-anchor="end">{most * i / 5:,.0f}</text>',
            f'<text x="{when:.1f}" y="{bottom + 18}" text-anchor="middle">{last * i / 300:.0f} min</text>',
        ]
    parts.append(f'<text x="6" y="{TOP - 8}">{escape(unit)}</text>')
    for i, (name, line) in enumerate(series.items()):
        colour = _COLOURS[i % len(_COLOURS)]
        path = " ".join(f"{x(t):.1f},{y(v):.1f}" for t, v in line)
        parts += [
            f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.5"/>',
            f'<text x="{right + 12}" y="{TOP + 16 * i}" fill="{colour}">{escape(name)}</text>',
        ]
    return "\n".join([*parts, "</svg>", ""])
