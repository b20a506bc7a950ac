"""Progress on standard error, where that is a terminal. Used by commands that take a while."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def bar(doing: str, *, silent: bool = False) -> Iterator[Callable[[int, int], None]]:
    """Gives a function that is told how much is done of how much."""
    if silent or not sys.stderr.isatty():
        yield lambda _done, _total: None
        return
    from rich.console import Console  # lazy: 50 ms that --json and --help need not pay
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as shown:
        task = shown.add_task(doing, total=None)
        yield lambda done, total: shown.update(task, completed=done, total=total)


def say(text: str) -> None:
    """A line for whoever watches."""
    if sys.stderr.isatty():
        sys.stderr.write(text + "\n")
        sys.stderr.flush()
