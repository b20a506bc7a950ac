"""Table analyst: answers questions about a CSV table with DuckDB: plain words, or one SELECT over ``data``."""

import contextlib
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
from parts import (
    CannotDo,
    Invocation,
    Lacks,
    Part,
    answering,
    bytes_of,
    label,
    renamed,
    table_output,
    task_words,
    text_output,
    the_first,
    words,
)
from table_question import Column, understand
from table_sql import Question, to_sql, value_name

FEW_VALUES = 60
LINES_SAID = 12
ROWS_GIVEN = 5000
MEMORY_LIMIT = "512MB"
_SELECT = re.compile(r"\b(select\b.+\bfrom\s+data\b.*)", re.IGNORECASE | re.DOTALL)


@answering
def run(invocation: Invocation) -> list[Part]:
    """An answer in words, and the rows behind it as a table."""
    table = the_first(invocation, "table", "a CSV file with a header line")
    name = renamed(table, "-analysis.csv", "table")
    with _opened(table) as connection:
        columns = _columns(connection)
        asked_in_sql = _SELECT.search(words(invocation))
        if asked_in_sql:
            header, rows = _query(connection, asked_in_sql.group(1).rstrip(" ;."), [])
            return _answer(f"{len(rows)} rows", header, rows, name)
        question = understand(words(invocation), columns) or understand(task_words(invocation), columns)
        if question is None:
            header, rows = _query(connection, "SUMMARIZE data", [])
            return _overview(connection, columns, header, rows, name)
        header, rows = _query(connection, *to_sql(question))
    return _answer(_heading(question), header, rows, name)


@contextlib.contextmanager
def _opened(table: Part) -> Iterator[duckdb.DuckDBPyConnection]:
    """The table as ``data`` in a database of its own that can reach no file and no network."""
    content = bytes_of(table)
    if b"\x00" in content[:65536] or not content.strip():
        raise CannotDo("not_a_table", f"{label(table)} is not a table in text form. Save it as CSV and send it again.")
    connection = duckdb.connect(":memory:", config={"threads": "1", "memory_limit": MEMORY_LIMIT})
    try:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "table.csv"
            file.write_bytes(content)
            connection.execute("CREATE TABLE data AS SELECT * FROM read_csv(?, header = true)", [str(file)])
        connection.execute("SET enable_external_access = false")
        connection.execute("SET lock_configuration = true")
        rows = connection.execute("SELECT count(*) FROM data").fetchone()
        if not rows or not rows[0]:
            raise Lacks(f"{label(table)} has a header and no rows.")
        yield connection
    except duckdb.Error as problem:
        reason = str(problem).splitlines()[0]
        raise CannotDo("not_a_table", f"{label(table)} cannot be analysed: {reason}") from problem
    finally:
        connection.close()


def _columns(connection: duckdb.DuckDBPyConnection) -> tuple[Column, ...]:
    described = connection.execute("SELECT column_name, data_type FROM duckdb_columns() WHERE table_name = 'data'")
    return tuple(_column(connection, name, data_type) for name, data_type in described.fetchall())


def _column(connection: duckdb.DuckDBPyConnection, name: str, data_type: str) -> Column:
    if data_type.startswith(("DATE", "TIMESTAMP")):
        return Column(name, "date")
    if re.match(r"(U?(TINY|SMALL|BIG|HUGE)?INT|DOUBLE|FLOAT|DECIMAL)", data_type):
        return Column(name, "number")
    quoted = '"' + name.replace('"', '""') + '"'
    query = f"SELECT DISTINCT {quoted}::VARCHAR FROM data WHERE {quoted} IS NOT NULL LIMIT {FEW_VALUES + 1}"  # noqa: S608
    values = tuple(row[0] for row in connection.execute(query).fetchall())
    return Column(name, "text", values if len(values) <= FEW_VALUES else ())


def _query(connection: duckdb.DuckDBPyConnection, sql: str, parameters: list[Any]) -> tuple[list[str], list[list[Any]]]:
    result = connection.execute(sql, parameters)
    header = [column[0] for column in result.description or []]
    return header, [list(row) for row in result.fetchmany(ROWS_GIVEN)]


def _heading(question: Question) -> str:
    if question.aggregate.startswith("row_"):
        what = f"{'Highest' if question.descending else 'Lowest'} {question.measure}"
    else:
        what = (
            value_name(question).capitalize()
            if question.measure and question.aggregate != "count"
            else "Number of rows"
        )
    if question.group:
        what += f" by {question.period or question.group}"
    if question.group and question.limit:
        what += ", highest" if question.descending else ", lowest"
        what += "" if question.limit == 1 else f" {question.limit}"
    return what + (f" where {', '.join(f.text for f in question.filters)}" if question.filters else "")


def _answer(heading: str, header: list[str], rows: list[list[Any]], name: str) -> list[Part]:
    if not rows or all(cell is None for row in rows for cell in row):
        return [text_output(f"{heading}: no row of the table fits.", "analysis.txt"), table_output(header, rows, name)]
    if len(rows) == 1 and len(header) == 1:
        said = f"{heading}: {_said(rows[0][0])}"
    elif len(header) == 2:
        said = f"{heading}:\n" + "\n".join(f"  {_said(key)}: {_said(value)}" for key, value in rows[:LINES_SAID])
    else:
        pairs = (
            [f"{column} {_said(cell)}" for column, cell in zip(header, row, strict=True)] for row in rows[:LINES_SAID]
        )
        said = f"{heading}:\n" + "\n".join("  " + ", ".join(pair) for pair in pairs)
    if len(rows) > LINES_SAID:
        said += f"\n  … and {len(rows) - LINES_SAID} more in the table"
    return [text_output(said, "analysis.txt"), table_output(header, rows, name)]


def _overview(
    connection: duckdb.DuckDBPyConnection,
    columns: tuple[Column, ...],
    header: list[str],
    rows: list[list[Any]],
    name: str,
) -> list[Part]:
    """What the table holds, for a request that asks nothing definite."""
    count = connection.execute("SELECT count(*) FROM data").fetchone()
    lines = [f"The table has {_said(count[0] if count else 0)} rows and {len(columns)} columns."]
    for column, facts in zip(columns, (dict(zip(header, row, strict=True)) for row in rows), strict=True):
        if column.kind == "number":
            average = _said(round(float(facts["avg"]), 2)) if facts["avg"] is not None else "unknown"
            lines.append(f"  {column.name}: from {facts['min']} to {facts['max']}, average {average}")
        elif column.values:
            lines.append(
                f"  {column.name}: {', '.join(sorted(column.values)[:8])}{' …' if len(column.values) > 8 else ''}"
            )
        else:
            lines.append(
                f"  {column.name}: from {facts['min']} to {facts['max']}, about {facts['approx_unique']} different"
            )
    kept = [header.index(word) for word in ("column_name", "column_type", "min", "max", "avg", "approx_unique")]
    return [
        text_output("\n".join(lines), "overview.txt"),
        table_output([header[i] for i in kept], [[row[i] for i in kept] for row in rows], name),
    ]


def _said(value: Any) -> str:  # noqa: ANN401 - a cell of any SQL type
    if isinstance(value, bool) or value is None:
        return {None: "unknown", True: "yes", False: "no"}[value]
    if isinstance(value, float):
        return f"{value:,.2f}"
    return f"{value:,}" if isinstance(value, int) else str(value)
