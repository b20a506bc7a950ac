"""Looks at tables: CSV, TSV, JSON records, Parquet. A decoder of ``inspector``."""

import csv
from collections.abc import Iterator
from typing import Any

import orjson
import pyarrow
import pyarrow.parquet

from schemas.parts import Modality
from tensor_layer.inspection.content import Content, Damaged, Seen
from tensor_layer.inspection.delimited import Layout, layout_of
from tensor_layer.inspection.text import pieces

SAMPLE_CHARACTERS = 64 * 1024
COUNTED_BYTES_MAX = 64 * 1024 * 1024
"""Rows are counted in so much of a CSV; of a larger one the facts say ``rows_min``."""
JSON_BYTES_MAX = 16 * 1024 * 1024
NAMES_MAX = 50
CELL_CHARACTERS_MAX = 1024 * 1024


def look_at_csv(content: Content, media_type: str, charset: str) -> Seen:
    """Delimiter, columns, rows. Raises Damaged when the lines do not fit one layout."""
    sample = "".join(_upto(pieces(content, charset), SAMPLE_CHARACTERS))[:SAMPLE_CHARACTERS]
    if "\x00" in sample:
        raise Damaged("it holds NUL characters: that is not a table of text.", "Send it as UTF-8 text.")
    layout = layout_of(sample.removeprefix("\ufeff"), cut=len(sample) == SAMPLE_CHARACTERS)
    if layout is None:
        raise Damaged(
            "its rows do not have the same number of columns under any of , ; tab |.",
            "Quote cells that hold the delimiter, or send it as plain text.",
        )
    rows = _count_rows(content, charset, layout)
    counted = "rows" if content.size_bytes <= COUNTED_BYTES_MAX else "rows_min"
    facts = {counted: rows, "columns": layout.columns, "delimiter": layout.delimiter, "charset": charset}
    return Seen(Modality.TABLE, media_type, facts | _names(layout.header or ()))


def look_at_json(content: Content, media_type: str, charset: str) -> Seen:
    """Records are a table, anything else is data. Raises Damaged when it is no JSON; past 16 MiB it is not parsed."""
    if content.size_bytes > JSON_BYTES_MAX:
        return Seen(Modality.DATA, media_type, {"parsed": False})
    text = "".join(pieces(content, charset)).removeprefix("\ufeff")
    try:
        records = [orjson.loads(line) for line in text.split("\n") if line.strip()] if _is_lines(media_type) else None
        value = records if records is not None else orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise Damaged(f"it is not valid JSON: {error}.", "Check it with a JSON validator.") from error
    if isinstance(value, list) and value and all(isinstance(row, dict) for row in value):
        names = list(dict.fromkeys(name for row in value[:1000] for name in row))
        return Seen(Modality.TABLE, media_type, {"rows": len(value), "columns": len(names)} | _names(names))
    size = len(value) if isinstance(value, list | dict) else 1
    return Seen(Modality.DATA, media_type, {"top_level": type(value).__name__, "items": size})


def look_at_parquet(content: Content, media_type: str) -> Seen:
    """Rows and columns from the footer, which is where they are written. Raises Damaged."""
    try:
        with content.open() as file, pyarrow.parquet.ParquetFile(file) as parquet:
            metadata, names = parquet.metadata, parquet.schema_arrow.names
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        raise Damaged(f"the Parquet file is damaged or cut off: {error}.", "Write it again.") from error
    facts = {"rows": metadata.num_rows, "columns": len(names), "row_groups": metadata.num_row_groups}
    return Seen(Modality.TABLE, media_type, facts | _names(names))


def _is_lines(media_type: str) -> bool:
    return media_type in ("application/x-ndjson", "application/jsonl")


def _names(names: tuple[str, ...] | list[str]) -> dict[str, Any]:
    return {"column_names": [name[:80] for name in names[:NAMES_MAX]]} if names else {}


def _count_rows(content: Content, charset: str, layout: Layout) -> int:
    lines = _lines(_upto(pieces(content, charset), COUNTED_BYTES_MAX))
    try:
        rows = sum(1 for row in csv.reader(lines, delimiter=layout.delimiter) if row)
    except csv.Error as error:
        raise Damaged(f"the table cannot be read: {error}.", "Check its quotes.") from error
    return rows - (layout.header is not None)


def _upto(texts: Iterator[str], characters_max: int) -> Iterator[str]:
    seen = 0
    for text in texts:
        if seen >= characters_max:
            return
        seen += len(text)
        yield text


def _lines(texts: Iterator[str]) -> Iterator[str]:
    """Whole lines from pieces. Raises Damaged for a line that no table has."""
    rest = ""
    for text in texts:
        lines = (rest + text).split("\n")
        rest = lines.pop()
        if len(rest) > CELL_CHARACTERS_MAX:
            raise Damaged("one of its lines is longer than a megabyte.", "Send it as plain text.")
        yield from (line + "\n" for line in lines)
    if rest:
        yield rest
