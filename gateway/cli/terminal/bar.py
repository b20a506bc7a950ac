"""Progress on standard error, where that is a terminal. Used by commands that take a while."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def bar(doing: str, *, silent: bool = False) -> Iterator[Callable[[int, int], None]]:
    """Gives a function that is told how much is done of how much; of 0 where nobody knows how much there is."""
    if silent or not sys.stderr.isatty():
        yield lambda _done, _total: None
        return
    from rich.console import Console  # lazy: 50 ms that --json and --help need not pay
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    columns = (
        *(TextColumn("{task.description}", markup=False), BarColumn(), TextColumn("{task.fields[said]}")),
        *(TimeElapsedColumn(), TimeRemainingColumn()),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as shown:
        task = shown.add_task(doing, total=None, said="")
        yield lambda done, total: shown.update(task, completed=done, total=total or None, said=_said(done, total))


def say(text: str) -> None:
    """A line for whoever watches."""
    if sys.stderr.isatty():
        sys.stderr.write(text + "\n")
        sys.stderr.flush()


def _said(done: int, total: int) -> str:
    return f"{done:,} of {total:,}" if total else f"{done:,}"
