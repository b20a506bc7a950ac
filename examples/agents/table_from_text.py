"""Table maker: finds rows with columns or amounts in plain text, such as a read receipt, and gives them as a CSV table.

Cells are apart by tabs, bars, semicolons, two or more spaces, or dots; lines without such marks are split before the
numbers they end in ("Chain oil 8 63.20"), and "label: 12.50" counts as two cells.
"""

import re
from collections import Counter

from parts import Invocation, Lacks, Part, answering, content_text, contents, renamed, table_output

LONGEST_ROW = 1000
_NUMBER = r"[-+]?(?:[€$£]\s?)?\d+(?:[.,']\d+)*(?:\s?(?:%|[€$£]|EUR|USD|GBP|euros?|dollars?))?"
_AMOUNT = re.compile(rf"^{_NUMBER}$", re.IGNORECASE)
_APART = re.compile(r"\s*(?:\t|\||;|\s{2,}|\.{3,})\s*")
_ENDS_IN_NUMBERS = re.compile(rf"^(?P<label>\D.*?)\s+(?P<numbers>(?:{_NUMBER})(?:\s+{_NUMBER})*)$", re.IGNORECASE)
_LABEL_AND_VALUE = re.compile(rf"^(?P<label>[^:=]{{1,60}}?)\s*[:=]\s*(?P<value>{_NUMBER})$", re.IGNORECASE)
_IN_PROSE = re.compile(
    rf"(?:^|[,;:.]|\band\b)\s*(?P<label>[^\d,;:.]{{2,40}}?)\s+(?:cost|costs|is|was|for|at|of|had|has|sold|made|=)?\s*"
    rf"(?P<value>{_NUMBER})(?=\s|[,;.]|$)",
    re.IGNORECASE,
)


@answering
def run(invocation: Invocation) -> list[Part]:
    """The table that the text holds."""
    rows = _rows(content_text(invocation))
    if not rows:
        raise Lacks("No rows with columns or amounts were found in the text. Put each row on a line of its own.")
    header, body = _with_header(rows)
    source = next(iter(contents(invocation, "text")), {})
    return [table_output(header, body, renamed(source, ".csv", "table"))]


def _rows(text: str) -> list[list[str]]:
    """The rows of the largest table-like block: those lines whose number of cells is the most frequent one."""
    split = [cells for line in _lines(text) if (cells := _cells(line.strip())) and len(cells) > 1]
    in_prose = [[match["label"].strip(), match["value"]] for match in _IN_PROSE.finditer(text)]
    if sum(_has_number(row) for row in split) < min(2, len(in_prose)) or not any(_has_number(row) for row in split):
        return in_prose
    width = Counter(len(row) for row in split if _has_number(row)).most_common(1)[0][0]
    return [row for row in split if len(row) == width]


def _lines(text: str) -> list[str]:
    """Lines of a length that rows have: in longer ones, trying every split would take for ever."""
    return [line for line in text.splitlines() if len(line) <= LONGEST_ROW]


def _cells(line: str) -> list[str]:
    if "," in line and line.count(",") >= 2 and not re.search(r",\s", line):
        return [cell.strip() for cell in line.split(",")]
    apart = [cell for cell in _APART.split(line.strip("|")) if cell]
    if len(apart) > 1:
        return apart
    labelled = _LABEL_AND_VALUE.match(line)
    if labelled:
        return [labelled["label"].strip(), labelled["value"]]
    ends = _ENDS_IN_NUMBERS.match(line)
    return [ends["label"].strip(), *re.findall(_NUMBER, ends["numbers"], re.IGNORECASE)] if ends else apart


def _has_number(row: list[str]) -> bool:
    return any(_AMOUNT.match(cell) for cell in row[1:])


def _with_header(rows: list[list[str]]) -> tuple[list[str], list[list[str]]]:
    """The first row without numbers is the header; without one, columns are called item, amount, amount 2 …"""
    rows = [row for row in rows if not all(re.fullmatch(r"[-=:+ ]*", cell) for cell in row)]
    first = rows[0]
    if len(rows) > 1 and not any(_AMOUNT.match(cell) for cell in first):
        return [cell.strip() for cell in first], [[_plain(cell) for cell in row] for row in rows[1:]]
    names = ["item", "amount", *(f"amount {number}" for number in range(2, len(first)))]
    return names[: len(first)], [[_plain(cell) for cell in row] for row in rows]


def _plain(cell: str) -> str:
    """An amount as a number that any program reads: '1.234,50 €' and '€1,234.50' both become 1234.50."""
    if not _AMOUNT.match(cell):
        return cell
    digits = re.sub(r"[^\d.,+-]", "", cell).rstrip(".,")
    if re.fullmatch(r"[-+]?\d{1,3}(\.\d{3})*,\d{1,2}", digits):
        return digits.replace(".", "").replace(",", ".")
    if re.fullmatch(r"[-+]?\d{1,3}(\.\d{3}){2,}", digits):
        return digits.replace(".", "")
    return digits.replace(",", "")
