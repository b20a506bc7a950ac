"""Curves as a small SVG, without a plotting library. Called by ``benchmarks.learning``."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 720, 320, 48, 34, 14
POINTS = 240
COLOURS = ("#888888", "#1f5fbf", "#c0562f", "#2f8f4f")


def draw(curves: Mapping[str, NDArray[np.float64]], marks: Mapping[int, str], window: int) -> str:
    """Means over the last ``window`` tasks, 0 to 1 from the bottom to the top, with vertical marks."""
    tasks = max(len(values) for values in curves.values())
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif"',
        '  font-size="11">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
    ]
    for level in (0.0, 0.25, 0.5, 0.75, 1.0):
        y = _y(level)
        lines.append(f'<line x1="{LEFT}" x2="{WIDTH - 8}" y1="{y}" y2="{y}" stroke="#dddddd"/>')
        lines.append(f'<text x="{LEFT - 6}" y="{y + 4}" text-anchor="end">{level:.0%}</text>')
    for task, words in marks.items():
        if task < tasks:
            x = _x(task, tasks)
            lines.append(
                f'<line x1="{x}" x2="{x}" y1="{TOP}" y2="{HEIGHT - BOTTOM}" stroke="#999999" stroke-dasharray="4 3"/>'
            )
            lines.append(f'<text x="{x + 4}" y="{HEIGHT - BOTTOM - 6}">{words}</text>')
    for place, (name, values) in enumerate(curves.items()):
        colour = COLOURS[place % len(COLOURS)]
        lines.append(
            f'<polyline fill="none" stroke="{colour}" stroke-width="1.6" points="{_path(values, window, tasks)}"/>'
        )
        lines.append(f'<text x="{LEFT + 10 + 90 * place}" y="{HEIGHT - 6}" fill="{colour}">{name}</text>')
    lines.append(f'<text x="{WIDTH - 8}" y="{HEIGHT - 6}" text-anchor="end">success by task, mean of {window}</text>')
    return "\n".join([*lines, "</svg>", ""])


def _path(values: NDArray[np.float64], window: int, tasks: int) -> str:
    sums = np.concatenate([[0.0], values.cumsum()])
    ends = np.unique(np.linspace(min(window, len(values)), len(values), POINTS).astype(int))
    points = [(end, (sums[end] - sums[max(0, end - window)]) / min(window, end)) for end in ends]
    return " ".join(f"{_x(end, tasks)},{_y(value)}" for end, value in points)


def _x(task: int, tasks: int) -> float:
    return round(LEFT + (WIDTH - LEFT - 8) * task / tasks, 1)


def _y(value: float) -> float:
    return round(TOP + (HEIGHT - TOP - BOTTOM) * (1.0 - float(value)), 1)
