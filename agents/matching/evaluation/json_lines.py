"""Reads a file of JSON objects, one a line, and collects what is wrong with it. Called by ``rows`` and ``graph_rows``.

A byte order mark, any line ends and blank lines are fine; ``-`` is standard input.
"""

import json
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

SHOWN_MAX = 5
"""Of many wrong lines so many are named; the rest is counted."""

NUMBER_MOST = 1e30
"""Beyond it single precision has no room for sums."""

_OTHERS = {
    b"\x1f\x8b": ("it is packed with gzip", "unpack it: gunzip -k {path}"),
    b"PK\x03\x04": ("it is a zip archive", "unpack it: unzip {path}"),
    b"\x28\xb5\x2f\xfd": ("it is packed with zstd", "unpack it: unzstd {path}"),
    b"\xff\xfe": ("it is UTF-16", "write it as UTF-8: iconv -f utf-16 -t utf-8 {path}"),
    b"\xfe\xff": ("it is UTF-16", "write it as UTF-8: iconv -f utf-16 -t utf-8 {path}"),
}
"""What a file that is not UTF-8 begins with, and what to do with it."""

_KINDS = {bool: "true or false", str: "text", list: "a list", dict: "an object", int: "a number", float: "a number"}


class RowsInvalid(ValueError):
    """A file cannot be used. ``lines`` are its wrong lines, each as ``file:line: what is wrong``."""

    def __init__(self, message: str, lines: tuple[str, ...] = (), next_step: str = "") -> None:
        super().__init__(message)
        self.lines = lines
        self.next_step = next_step


class JsonLines:
    """One file while it is read. ``example`` is a row as it should be: errors end with it."""

    def __init__(self, path: Path, example: str) -> None:
        self.path = path
        self._next_step = f"one JSON object a line, for example {example}"
        self._problems: list[str] = []
        self._notes: list[str] = []

    def rows(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """Line number and object of every line that holds one. Raises RowsInvalid when the file cannot be read."""
        with opened(self.path) as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    row = self._object(line, number)
                    if row is not None:
                        yield number, row

    def wrong(self, line: int, what: str) -> None:
        """The row cannot be used."""
        self._problems.append(f"{self.path}:{line}: {what}")

    def note(self, line: int, what: str) -> None:
        """The row is used, but not as its writer may think."""
        self._notes.append(f"{self.path}:{line}: {what}")

    def done(self, *, rows: int, missing: str = "") -> tuple[str, ...]:
        """The notes. Raises RowsInvalid when a row is wrong, or when there are no ``rows`` and some are ``missing``."""
        if self._problems:
            wrong = "a wrong row" if len(self._problems) == 1 else f"{len(self._problems)} wrong rows"
            raise RowsInvalid(f"{self.path} has {wrong}", shortened(self._problems), self._next_step)
        if not rows and missing:
            raise RowsInvalid(f"{self.path} has no {missing}", shortened(self._notes), self._next_step)
        return shortened(self._notes)

    def _object(self, line: str, number: int) -> dict[str, Any] | None:
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            if line.lstrip().startswith("["):
                raise self._listed(number) from error
            if line.strip() == "{":
                self._next_step = f"one JSON object a line, not spread over many: jq -c . {self.path}"
            self.wrong(number, f"is no JSON: {error}")
            return None
        if isinstance(row, list):
            raise self._listed(number)
        if not isinstance(row, dict):
            self.wrong(number, f"is {kind_of(row)}; expected an object")
            return None
        return row

    def _listed(self, number: int) -> RowsInvalid:
        hint = f"one JSON object a line, without brackets around them all: jq -c '.[]' {self.path}"
        return RowsInvalid(f"{self.path}:{number}: is no JSON object, but a list", next_step=hint)


@contextmanager
def opened(path: Path) -> Iterator[TextIO]:
    """The file's text. Raises RowsInvalid, also for what is found while it is read."""
    try:
        with (Path("/dev/stdin") if str(path) == "-" else path).open(encoding="utf-8-sig") as lines:
            yield lines
    except UnicodeDecodeError as error:
        what, hint = _not_utf8(path, error)
        raise RowsInvalid(f"{path} cannot be read: {what}", next_step=hint) from error
    except OSError as error:
        hint = "name a file of JSON lines that may be read, or - for standard input"
        raise RowsInvalid(f"{path} cannot be read: {(error.strerror or str(error)).lower()}", next_step=hint) from error


def _not_utf8(path: Path, error: UnicodeDecodeError) -> tuple[str, str]:
    """What the file is instead, by its first bytes, and how it becomes UTF-8."""
    usual = (f"it is not UTF-8 ({error.reason})", "write it as UTF-8, for example: iconv -f latin1 -t utf-8 {path}")
    what, hint = next((told for mark, told in _OTHERS.items() if error.object.startswith(mark)), usual)
    return what, hint.format(path=path)


def id_of(value: object) -> str | None:
    """An id as a word: a whole number is the word of its digits. None for anything else."""
    if isinstance(value, str):
        return value if value.strip() else None
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else None


def ids_of(values: object) -> list[str] | None:
    """A list of ids; None for anything else."""
    ids = [id_of(value) for value in values] if isinstance(values, list) else [None]
    known = [one for one in ids if one is not None]
    return known if len(known) == len(ids) else None


def number_of(value: object) -> float | None:
    """A finite number, or true and false as 1 and 0; None for anything else."""
    if not isinstance(value, int | float) or abs(value) > NUMBER_MOST or math.isnan(value):
        return None
    return float(value)


def kind_of(value: object) -> str:
    """What a value is, in the words of an error."""
    if value is None:
        return "missing"
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, int | float) and abs(value) > NUMBER_MOST:
        return "too large a number"
    return _KINDS[type(value)] if not isinstance(value, str) or value.strip() else "empty"


def kind_of_list(value: object) -> str:
    """The same where a list of one kind of thing was expected."""
    return "a list of other things" if isinstance(value, list) else kind_of(value)


def shortened(lines: Sequence[str]) -> tuple[str, ...]:
    """The first lines, and how many more there are."""
    rest = len(lines) - SHOWN_MAX
    return (*lines[:SHOWN_MAX], f"… and {rest} more") if rest > 0 else tuple(lines)
