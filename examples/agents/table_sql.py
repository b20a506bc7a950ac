"""A question about one table, and the SQL query that answers it. Made by table_question, asked by table_analysis."""

from dataclasses import dataclass

PERIODS = {"day": "%Y-%m-%d", "month": "%Y-%m", "quarter": "", "year": "%Y", "weekday": "%A"}


@dataclass(frozen=True, slots=True)
class Filter:
    """Keep rows for which ``expression`` holds; ``text`` says it to people."""

    expression: str
    parameter: object
    text: str


@dataclass(frozen=True, slots=True)
class Question:
    """What was asked. ``aggregate`` row_max / row_min asks for whole rows, ordered by the measure."""

    measure: str | None
    aggregate: str
    group: str | None = None
    period: str | None = None
    filters: tuple[Filter, ...] = ()
    limit: int | None = None
    descending: bool = True


def to_sql(question: Question) -> tuple[str, list[object]]:
    """The query over the table ``data``, and its parameters."""
    where = " AND ".join(f.expression for f in question.filters)
    tail = (f" WHERE {where}" if where else "", f" LIMIT {question.limit}" if question.limit else "")
    parameters = [f.parameter for f in question.filters]
    order = "DESC" if question.descending else "ASC"
    if question.aggregate.startswith("row_"):
        by = f"{identifier(question.measure or '')} {order} NULLS LAST"
        return f"SELECT * FROM data{tail[0]} ORDER BY {by}{tail[1]}", parameters  # noqa: S608 - names are quoted
    value = f"{_value(question)} AS {identifier(value_name(question))}"
    if question.group is None:
        return f"SELECT {value} FROM data{tail[0]}", parameters  # noqa: S608 - as above
    key = f"{_key(question)} AS {identifier(question.period or question.group)}"
    by = f"2 {order} NULLS LAST, 1"
    if question.period and not question.limit:
        by = f"min(isodow({identifier(question.group)}))" if question.period == "weekday" else "1"
    return f"SELECT {key}, {value} FROM data{tail[0]} GROUP BY 1 ORDER BY {by}{tail[1]}", parameters  # noqa: S608


def value_name(question: Question) -> str:
    """How the computed column is called: total revenue, average price, rows."""
    if question.aggregate == "count" or question.measure is None:
        return "rows"
    return f"{ {'sum': 'total', 'avg': 'average', 'median': 'median'}[question.aggregate] } {question.measure}"


def _value(question: Question) -> str:
    if question.aggregate == "count" or question.measure is None:
        return "count(*)"
    return f"round({question.aggregate}({identifier(question.measure)})::DOUBLE, 2)"


def _key(question: Question) -> str:
    column = identifier(question.group or "")
    if question.period == "quarter":
        return f"strftime({column}, '%Y') || '-Q' || quarter({column})"
    return f"strftime({column}, '{PERIODS[question.period]}')" if question.period else column


def identifier(name: str) -> str:
    """The column's name as SQL takes it, whatever letters are in it."""
    return '"' + name.replace('"', '""') + '"'
