"""Understands a question in plain words about one table: pure decisions, asked by table_analysis.

The vocabulary is the table's own: column names, their distinct values, and the few words by which people ask for sums,
averages, counts, extremes, groups, periods, shares of time and limits. No model guesses anything.
"""

import re
from dataclasses import dataclass

from table_sql import PERIODS, Filter, Question, identifier

AGGREGATES = {
    "avg": r"\b(averages?|mean|typical)\b",
    "median": r"\bmedian\b",
    "count": r"\b(how many|count|number of)\b",
    "sum": r"\b(sum|totals?|overall|altogether|how much|add up)\b",
    "max": r"\b(max(imum)?|highest|largest|biggest|most|best|top|greatest|peak|strongest)\b",
    "min": r"\b(min(imum)?|lowest|smallest|least|worst|bottom|fewest|weakest|cheapest)\b",
}
SYNONYMS = {
    "revenue": ("sale", "income", "turnover", "earning", "money"),
    "sales": ("revenue", "turnover"),
    "quantity": ("unit", "piece", "qty"),
    "amount": ("total", "cost", "price", "value", "sum"),
    "product": ("item", "article", "good"),
}
NUMBER_WORDS = {"two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10}
MONTHS = (
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
)
AVERAGED = ("price", "rate", "age", "score", "rating", "temperature", "percent", "share", "humidity")
_GROUP_CUE = re.compile(
    r"\b(?:by|per|for each|for every|each|every|which|what|of the|among|across|grouped by)\s+(?:the\s+)?"
)
_LIMIT = re.compile(
    rf"\b(top|best|bottom|worst|first|largest|smallest|biggest|highest|lowest)\s+(\d+|{'|'.join(NUMBER_WORDS)})\b"
)
_LIMIT_BEFORE = re.compile(
    rf"\b(\d+|{'|'.join(NUMBER_WORDS)})\s+(best|worst|largest|smallest|biggest|highest|lowest|cheapest)\b"
)
_COMPARISON = re.compile(
    r"\b(over|above|more than|greater than|at least|under|below|less than|at most)\s+([\d][\d,.]*)"
)
_OPERATORS = {"over": ">", "above": ">", "more than": ">", "greater than": ">", "at least": ">=", "at most": "<="}


@dataclass(frozen=True, slots=True)
class Column:
    """One column: ``kind`` is number, text or date; ``values`` are a text column's distinct values when few."""

    name: str
    kind: str
    values: tuple[str, ...] = ()


def understand(words: str, columns: tuple[Column, ...]) -> Question | None:
    """The question that ``words`` ask of a table with those columns, or None when they ask nothing definite."""
    said = f" {re.sub(r'[^a-z0-9.,%äöüéèß-]+', ' ', words.lower())} "
    filters = _filters(said, columns)
    period, date = _period(said, columns)
    group = date.name if date else _group(said, columns)
    measure = _measure(said, columns, group)
    aggregate, definite = _aggregate(said, measure)
    limit, descending = _limit(said)
    if group is None and not definite and not filters:
        return None
    if aggregate in ("max", "min") and group is not None:
        asks_one = limit is None and re.search(r"\b(which|what|who|where|when)\b", said) is not None
        return Question(
            measure, _additive(measure), group, period, filters, 1 if asks_one else limit, aggregate == "max"
        )
    if aggregate in ("max", "min"):
        return Question(measure, f"row_{aggregate}", None, None, filters, limit or 1, aggregate == "max")
    return Question(measure, aggregate, group, period, filters, limit, descending)


def _stems(name: str) -> list[str]:
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])|[^A-Za-z0-9äöüÄÖÜéè]+", " ", name)
    return [_stem(word) for word in spaced.lower().split()]


def _stem(word: str) -> str:
    word = word.strip(".,-%")
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    return word[:-1] if word.endswith("s") and not word.endswith("ss") and len(word) > 3 else word


def _mentions(said: str, column: Column) -> int:
    """How many words of the name are said, when the last and most telling one is among them; synonyms count half."""
    spoken = {_stem(word) for word in said.split()}
    names = _stems(column.name)
    if names and names[-1] in spoken:
        return 2 * sum(name in spoken for name in names)
    similar = {_stem(word) for name in names for word in SYNONYMS.get(name, ())}
    return 1 if similar & spoken else 0


def _group(said: str, columns: tuple[Column, ...]) -> str | None:
    """The column named right after a word such as 'by', 'per', 'each', 'which' or 'top 3'."""
    ends = [match.end() for pattern in (_GROUP_CUE, _LIMIT, _LIMIT_BEFORE) for match in pattern.finditer(said)]
    best: tuple[int, str] | None = None
    for end in ends:
        following = " ".join(said[end:].split()[:2])
        for column in columns:
            score = _mentions(following, column) * (3 if column.kind != "number" else 0)
            if score and (best is None or score > best[0]):
                best = (score, column.name)
    return best[1] if best else None


def _period(said: str, columns: tuple[Column, ...]) -> tuple[str | None, Column | None]:
    date = next((column for column in columns if column.kind == "date"), None)
    if date is None:
        return None, None
    for period in PERIODS:
        if re.search(
            rf"\b(by|per|each|every|which|what|over the|of the) {period}s?\b|\b{period}ly\b|\bdaily\b(?!.)", said
        ):
            return period, date
    return ("month", date) if re.search(r"\b(over time|trend|develop\w*)\b", said) else (None, None)


def _measure(said: str, columns: tuple[Column, ...], group: str | None) -> str | None:
    """The number column that is named; else revenue- or amount-like; else the last one."""
    numbers = [column for column in columns if column.kind == "number" and column.name != group]
    named = max(numbers, key=lambda column: _mentions(said, column), default=None)
    if named is not None and _mentions(said, named):
        return named.name
    for wanted in ("revenue", "amount", "sale", "total", "income", "value", "quantity"):
        for column in numbers:
            if wanted in _stems(column.name):
                return column.name
    return numbers[-1].name if numbers else None


def _additive(measure: str | None) -> str:
    if measure is None:
        return "count"
    return "avg" if any(word in AVERAGED for word in _stems(measure)) else "sum"


def _aggregate(said: str, measure: str | None) -> tuple[str, bool]:
    """The aggregate asked for, and whether it was said at all."""
    for name, pattern in AGGREGATES.items():
        if re.search(pattern, said):
            if name == "count" and measure and _asks_for_units(said, measure):
                return "sum", True
            return name if measure else "count", True
    return _additive(measure), False


def _asks_for_units(said: str, measure: str) -> bool:
    """'How many units' adds the quantities up; 'how many orders' counts rows."""
    counted = re.search(r"\b(?:how many|number of|count of)\s+(?:the\s+)?(\w+)", said)
    return bool(counted and "quantity" in _stems(measure) and _mentions(counted.group(1), Column(measure, "number")))


def _limit(said: str) -> tuple[int | None, bool]:
    found = _LIMIT.search(said) or _LIMIT_BEFORE.search(said)
    if found is None:
        return None, True
    number = next(word for word in found.groups() if word.isdigit() or word in NUMBER_WORDS)
    rising = re.search(r"bottom|worst|smallest|lowest|cheapest", found.group()) is not None
    return max(1, min(int(NUMBER_WORDS.get(number, number)), 1000)), not rising


def _filters(said: str, columns: tuple[Column, ...]) -> tuple[Filter, ...]:
    found = []
    for column in columns:
        named = [value for value in column.values if value and re.search(rf"\b{re.escape(value.lower())}s?\b", said)]
        if named and column.kind == "text":
            found.append(
                Filter(f"{identifier(column.name)} IN (SELECT unnest(?))", named, f"{column.name} {' or '.join(named)}")
            )
        if column.kind == "date":
            found += _date_filters(said, column)
    numbers = tuple(column for column in columns if column.kind == "number")
    for comparison, number in _COMPARISON.findall(said):
        measure = _measure(said, numbers, None)
        if measure:
            operator = _OPERATORS.get(comparison, "<")
            value = float(number.replace(",", "").rstrip("."))
            found.append(Filter(f"{identifier(measure)} {operator} ?", value, f"{measure} {operator} {number}"))
    return tuple(found)


def _date_filters(said: str, column: Column) -> list[Filter]:
    found = []
    for number, month in enumerate(MONTHS, 1):
        if re.search(rf"\b(in|of|during|for|since) {month}\b", said):
            found.append(Filter(f"month({identifier(column.name)}) = ?", number, month.capitalize()))
    year = re.search(r"\b(?:in|of|during|for) (?:\w+ )?((?:19|20)\d\d)\b", said)
    if year:
        found.append(Filter(f"year({identifier(column.name)}) = ?", int(year.group(1)), year.group(1)))
    return found
