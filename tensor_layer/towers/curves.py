"""Loss curves as CSV for programs and SVG for people. Called after each training."""

import csv
import math
from collections.abc import Sequence
from pathlib import Path

Row = dict[str, float]

WIDTH, HEIGHT, MARGIN = 640, 320, 48
STROKES = ("#1f77b4", "#d62728", "#2ca02c", "#9467bd")
DECADES_MIN = 1.0


def write_curve(rows: Sequence[Row], file: Path, title: str) -> None:
    """Write ``file`` as CSV, and beside it the same as ``.svg``. Raises OSError."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w", newline="") as out:
        writer = csv.DictWriter(out, list(rows[0]) if rows else ["step"])
        writer.writeheader()
        writer.writerows({name: round(value, 5) for name, value in row.items()} for row in rows)
    file.with_suffix(".svg").write_text(drawn(rows, title))


def drawn(rows: Sequence[Row], title: str) -> str:
    """An SVG with one line per loss, logarithmic upwards, steps to the right."""
    names = [name for name in rows[0] if name != "step"] if rows else []
    logs = {name: [math.log10(max(row[name], 1e-6)) for row in rows] for name in names}
    low = math.floor(min(map(min, logs.values()))) if logs else 0.0
    high = max(math.ceil(max(map(max, logs.values()))) if logs else 1.0, low + DECADES_MIN)
    last = rows[-1]["step"] if rows else 1.0
    body = [_rule(decade, low, high) for decade in range(int(low), int(high) + 1)]
    for number, name in enumerate(names):
        stroke = STROKES[number % len(STROKES)]
        points = " ".join(
            f"{MARGIN + (WIDTH - 2 * MARGIN) * row['step'] / last:.1f},{_y(log, low, high):.1f}"
            for row, log in zip(rows, logs[name], strict=True)
        )
        body.append(f'<polyline fill="none" stroke="{stroke}" stroke-width="1.5" points="{points}"/>')
        body.append(f'<text x="{WIDTH - MARGIN - 90}" y="{MARGIN + 16 * number}" fill="{stroke}">{name}</text>')
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" '
        f'font-size="12">\n<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>\n'
        f'<text x="{MARGIN}" y="24" font-size="14">{title}</text>\n'
        f'<text x="{WIDTH - MARGIN}" y="{HEIGHT - 14}" text-anchor="end">{last:.0f} steps</text>\n'
        + "\n".join(body)
        + "\n</svg>\n"
    )


def _y(log: float, low: float, high: float) -> float:
    return HEIGHT - MARGIN - (HEIGHT - 2 * MARGIN) * (log - low) / (high - low)


def _rule(decade: int, low: float, high: float) -> str:
    y = _y(decade, low, high)
    return (
        f'<line x1="{MARGIN}" y1="{y:.1f}" x2="{WIDTH - MARGIN}" y2="{y:.1f}" stroke="#ddd"/>'
        f'<text x="{MARGIN - 6}" y="{y + 4:.1f}" text-anchor="end">{10.0**decade:g}</text>'
    )
