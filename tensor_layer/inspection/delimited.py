"""Finds out how a text's lines are divided into columns. Used by ``sniffing`` and ``table``."""

import csv
import io
from collections import Counter
from dataclasses import dataclass

DELIMITERS = ",;\t|"
SAMPLE_LINES = 50
UNCLAIMED_ROWS_MIN = 3
CLAIMED_AGREEMENT = 0.8
"""Real CSV files have a stray line now and then; most of their lines agree all the same."""


@dataclass(frozen=True, slots=True)
class Layout:
    """How a table is written."""

    delimiter: str
    columns: int
    header: tuple[str, ...] | None


def layout_of(text: str, *, cut: bool, agreement: float = CLAIMED_AGREEMENT) -> Layout | None:
    """The layout under which at least that share of the first lines has the same number of columns, else None.

    The most columns win. Lines without any delimiter are a table of one column. ``cut`` says that the text goes on:
    its last line is then not judged.
    """
    lines = text.splitlines(keepends=True)
    if cut and len(lines) > 1:
        lines = lines[:-1]
    layouts = [layout for delimiter in DELIMITERS if (layout := _under(lines, delimiter, agreement)) is not None]
    best = max(layouts, key=lambda layout: layout.columns, default=None)
    if best is not None and best.columns == 1 and any(delimiter in lines[0] for delimiter in DELIMITERS):
        return None
    return best


def looks_like_csv(text: str, *, cut: bool) -> bool:
    """Whether text of which nobody says that it is a table is one all the same: several columns, several rows."""
    first_line, _, _ = text.partition("\n")
    if not any(delimiter in first_line for delimiter in DELIMITERS):
        return False
    layout = layout_of(text, cut=cut, agreement=1.0)
    # Prose has commas too, but rarely the same number in three lines with a header of short names above them.
    return (
        layout is not None
        and layout.columns > 1
        and layout.header is not None
        and text.count("\n") + (not text.endswith("\n")) >= UNCLAIMED_ROWS_MIN
        and all(len(name) <= 40 for name in layout.header)
    )


def is_number(cell: str) -> bool:
    """Whether a cell holds a number."""
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _under(lines: list[str], delimiter: str, agreement: float) -> Layout | None:
    rows = _rows(lines, delimiter)
    if not rows:
        return None
    width, count = Counter(map(len, rows)).most_common(1)[0]
    if count < agreement * len(rows):
        return None
    return Layout(delimiter, width, _header(rows[0]))


def _rows(lines: list[str], delimiter: str) -> list[list[str]]:
    """The first rows that are not blank; none when the quoting does not close."""
    rows: list[list[str]] = []
    reader = csv.reader(io.StringIO("".join(lines), newline=""), delimiter=delimiter)
    try:
        for row in reader:
            if row:
                rows.append(row)
            if len(rows) == SAMPLE_LINES:
                break
    except csv.Error:
        return []
    return rows


def _header(row: list[str]) -> tuple[str, ...] | None:
    """The first row when it reads as names: all there, all different, none a number."""
    names = tuple(cell.strip() for cell in row)
    if all(names) and len(set(names)) == len(names) and not any(map(is_number, names)):
        return names
    return None
