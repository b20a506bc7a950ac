"""What every command needs at the edge: the settings, and a way to print. Built by each command when it starts."""

import asyncio
import json
import os
import sys
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, TextIO, TypeVar

import typer

from gateway.cli.terminal.failure import ExitCode, Failed
from gateway.errors import SettingsInvalid
from gateway.settings import Loaded, load
from gateway.settings.misspelt import misspelt

T = TypeVar("T")

STANDARD_OUTPUT = Path("-")
"""Given as a file to write to."""
PIPED_WIDTH = 250
"""Columns of a table that is not shown on a terminal: wide enough that scripts and logs get one line a row."""

Json = Annotated[bool, typer.Option("--json", help="JSON on standard output, for scripts.")]
Tenant = Annotated[str | None, typer.Option("--tenant", help="Tenant to act for; AOS_TENANT.", show_default=False)]
Url = Annotated[str | None, typer.Option("--url", help="The gateway to talk to; AOS_URL.", show_default=False)]


def settings_from(overrides: Mapping[str, Any] | None = None) -> Loaded:
    """Read the settings: the only place where the command line looks at the environment. Raises Failed."""
    try:
        return load(os.environ, overrides)
    except SettingsInvalid as error:
        raise Failed(str(error), exit_code=ExitCode.USAGE, code=error.code) from error


def misspelt_variables() -> dict[str, str]:
    """Variables of the environment that are no settings, each with the one that was probably meant."""
    return misspelt(os.environ)


def warn_of_misspelt_variables() -> None:
    """One line each on standard error. Called once by what runs for long: nobody would look for the mistake there."""
    for name, meant in misspelt_variables().items():
        sys.stderr.write(f"! {name} is no setting and changes nothing; did you mean {meant}?\n")


def somebody_is_there() -> bool:
    """Whether a question would be read and answered by a person."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run one command's coroutine to its end."""
    return asyncio.run(coroutine)


def print_json(value: Any) -> None:  # noqa: ANN401 - anything JSON can say
    """One JSON document on standard output. Raises Failed when it cannot be written."""
    with _standard_output() as out:
        json.dump(value, out, indent=2 if out.isatty() else None, default=str, ensure_ascii=False)
        out.write("\n")


def print_line(text: str) -> None:
    """Plain text on standard output, never wrapped or coloured. Raises Failed when it cannot be written."""
    with _standard_output() as out:
        out.write(text + "\n")


@contextmanager
def _standard_output() -> Iterator[TextIO]:
    """Flushed at the end. A reader that went away is left to the command line's own way: it ends without a word."""
    hint = "send it where there is room, for example: aos … > FILE"
    # None where the program was started with its standard output closed; typeshed does not say so.
    if sys.stdout is None:
        raise Failed("there is no standard output to write to", code="output_unwritable", next_step=hint)
    try:
        yield sys.stdout
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise Failed(f"the answer cannot be written: {why}", code="output_unwritable", next_step=hint) from error


def print_table(columns: Sequence[str], rows: Sequence[Sequence[object]], empty: str) -> None:
    """A table for people; ``empty`` is said instead when there are no rows."""
    from rich.console import Console  # lazy: 50 ms that --json and --help need not pay
    from rich.table import Table
    from rich.text import Text

    if not rows:
        print_line(empty)
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(Text("" if cell is None else str(cell)) for cell in row))
    with _standard_output() as out:
        Console(file=out, width=None if out.isatty() else PIPED_WIDTH).print(table)
