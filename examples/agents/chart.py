"""Chart maker: draws a table as a bar, line, pie or scatter chart with matplotlib (Agg), as a PNG picture."""

import io
import re
from dataclasses import dataclass

import matplotlib
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from parts import CannotDo, Invocation, Lacks, Part, answering, bytes_output, label, renamed, rows_of, the_first, words

matplotlib.use("Agg")
MOST_BARS = 40
MOST_SLICES = 8
MOST_SERIES = 5
MOST_POINTS = 5000
COLOURS = ("#2f6f9f", "#e08a3c", "#4f9d69", "#b5495b", "#7d6bb0")
_DATE_LIKE = re.compile(r"^\d{4}(-\d{2}|-Q\d|/\d{2}){0,2}$")
_KINDS = {
    "pie": r"\b(pie|donut|doughnut|shares?|proportions?)\b",
    "scatter": r"\b(scatter|correlation|against|versus|vs)\b",
    "line": r"\b(line|trend|over time|curve|develop\w*)\b",
    "bar": r"\b(bars?|columns?|histogram)\b",
}


@dataclass(frozen=True, slots=True)
class Drawable:
    """Labels along the x axis and one or more named series of numbers, all of one length."""

    axis: str
    labels: tuple[str, ...]
    series: tuple[tuple[str, tuple[float, ...]], ...]


@answering
def run(invocation: Invocation) -> list[Part]:
    """The picture of the chart."""
    table = the_first(invocation, "table", "a CSV file with a column of numbers")
    drawable = _drawable(table, words(invocation))
    kind = chart_kind(words(invocation), drawable)
    return [bytes_output(_drawn(kind, drawable, table), "image", "image/png", renamed(table, f"-{kind}.png", "table"))]


def chart_kind(said: str, drawable: Drawable) -> str:
    """The kind that the words name; else a line for dates, a scatter for two numbers of many rows, bars otherwise."""
    for kind, pattern in _KINDS.items():
        if re.search(pattern, said, re.IGNORECASE):
            return kind
    if all(_DATE_LIKE.match(name) for name in drawable.labels) and len(drawable.labels) > 2:
        return "line"
    return "scatter" if len(drawable.labels) > MOST_BARS and len(drawable.series) > 1 else "bar"


def _drawable(table: Part, said: str) -> Drawable:
    """Labels from the first column that is no number; series from the numbers that are named, or all when none is."""
    header, rows = rows_of(table)
    columns = list(zip(*rows, strict=True))
    numbers = {index: values for index, column in enumerate(columns) if (values := _numbers(column))}
    text_columns = [index for index in range(len(header)) if index not in numbers]
    label_column = text_columns[0] if text_columns else 0 if len(numbers) > 1 else None
    numbers.pop(label_column if label_column is not None else -1, None)
    if not numbers:
        raise Lacks(f"{label(table)} has no column of numbers to draw.")
    named = [index for index in numbers if re.search(rf"\b{re.escape(header[index])}", said, re.IGNORECASE)]
    chosen = (named or _alike(header, numbers))[:MOST_SERIES]
    labels = columns[label_column] if label_column is not None else tuple(str(n) for n in range(1, len(rows) + 1))
    axis = header[label_column] if label_column is not None else "row"
    series = tuple((header[index], numbers[index][:MOST_POINTS]) for index in chosen)
    return Drawable(axis, tuple(labels[:MOST_POINTS]), series)


def _alike(header: list[str], numbers: dict[int, tuple[float, ...]]) -> list[int]:
    """The amount-like column, the last one otherwise, with those of a like size: 12 pieces vanish beside 86 euros."""
    amounts = [i for i in numbers if re.search(r"total|amount|revenue|sum|price|cost|value", header[i], re.IGNORECASE)]
    main = (amounts or list(numbers))[-1]
    height = max(map(abs, numbers[main])) or 1.0
    return [i for i in numbers if i == main or 0.5 <= (max(map(abs, numbers[i])) or 0.0) / height <= 2.0]


def _numbers(column: tuple[str, ...]) -> tuple[float, ...]:
    """The column as numbers; empty cells are zero. Empty when any cell is something else."""
    try:
        return tuple(float(re.sub(r"[€$£%,\s]", "", cell) or 0) for cell in column)
    except ValueError:
        return ()


def _drawn(kind: str, drawable: Drawable, table: Part) -> bytes:
    figure = Figure(figsize=(8, 4.8), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    draw = {"pie": _pie, "line": _line, "scatter": _scatter, "bar": _bars}[kind]
    draw(axes, drawable)
    names = " and ".join(name for name, _ in drawable.series)
    axes.set_title(f"{names} by {drawable.axis}" if kind != "scatter" else label(table))
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Title": f"{kind} chart of {names} by {drawable.axis}"})
    return buffer.getvalue()


def _bars(axes: matplotlib.axes.Axes, drawable: Drawable) -> None:
    labels = drawable.labels[:MOST_BARS]
    width = 0.8 / len(drawable.series)
    for number, (name, values) in enumerate(drawable.series):
        places = [place + (number - (len(drawable.series) - 1) / 2) * width for place in range(len(labels))]
        bars = axes.bar(places, values[: len(labels)], width, label=name, color=COLOURS[number])
        if len(labels) <= 12:
            axes.bar_label(bars, fmt="{:,.6g}", fontsize=8, padding=2)
    _label_axes(axes, drawable, labels)


def _line(axes: matplotlib.axes.Axes, drawable: Drawable) -> None:
    for number, (name, values) in enumerate(drawable.series):
        axes.plot(range(len(values)), values, marker="o", markersize=4, label=name, color=COLOURS[number])
    _label_axes(axes, drawable, drawable.labels)


def _label_axes(axes: matplotlib.axes.Axes, drawable: Drawable, labels: tuple[str, ...]) -> None:
    step = max(1, len(labels) // 20)
    crowded = len(labels) > 8 or max(map(len, labels)) > 12
    axes.set_xticks(
        range(0, len(labels), step), labels[::step], rotation=40 if crowded else 0, ha="right" if crowded else "center"
    )
    axes.set_xlabel(drawable.axis)
    axes.spines[["top", "right"]].set_visible(False)
    axes.yaxis.set_major_formatter("{x:,.6g}")
    if len(drawable.series) > 1:
        axes.legend()


def _pie(axes: matplotlib.axes.Axes, drawable: Drawable) -> None:
    """Shares of the first series, largest first; the small ones together as 'other'."""
    name, values = drawable.series[0]
    pairs = sorted(zip(values, drawable.labels, strict=True), reverse=True)
    if pairs[-1][0] < 0 or pairs[0][0] <= 0:
        raise CannotDo("nothing_to_draw", f"A pie chart needs positive numbers; {name} has others. Ask for bars.")
    shown, rest = pairs[:MOST_SLICES], sum(value for value, _ in pairs[MOST_SLICES:])
    shown += [(rest, "other")] if rest else []
    axes.pie([value for value, _ in shown], labels=[text for _, text in shown], autopct="%1.0f%%", startangle=90)


def _scatter(axes: matplotlib.axes.Axes, drawable: Drawable) -> None:
    if len(drawable.series) < 2:
        raise CannotDo("nothing_to_draw", "A scatter chart needs two columns of numbers. Ask for bars or a line.")
    (across, xs), (up, ys) = drawable.series[:2]
    axes.scatter(xs, ys, s=14, alpha=0.6, color=COLOURS[0])
    axes.set(xlabel=across, ylabel=up)
