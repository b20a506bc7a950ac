"""What the evaluation commands share: reading files, the encoder with its cache, progress, and printing figures."""

import os
import signal
import sys
from collections.abc import Callable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from agents.matching.evaluation.json_lines import RowsInvalid
from agents.matching.evaluation.vector_cache import Tell, VectorCache
from gateway.cli.terminal import session
from gateway.cli.terminal.failure import ExitCode, Failed
from tensor_layer.errors import EncoderUnavailable

T = TypeVar("T")
BAR_WIDTH = 24


class Dtype(StrEnum):
    """What a text encoder can compute in."""

    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"


TextEncoder = Annotated[
    str,
    typer.Option(
        "--text", help="Text encoder, as `[perception] text` names it: shipped, or sentence-transformers:<checkpoint>."
    ),
]
TextDtype = Annotated[
    Dtype | None,
    typer.Option("--dtype", help="What it computes in.", show_default="float32 on a CPU, bfloat16 on a GPU"),
]


def read(rows: Callable[[], T]) -> T:
    """What the reader gives. Raises Failed, with the wrong lines, when the file cannot be used."""
    try:
        return rows()
    except RowsInvalid as error:
        detail = "; ".join(error.lines)
        raise Failed(
            str(error), exit_code=ExitCode.USAGE, code="rows_invalid", detail=detail, next_step=error.next_step
        ) from error


def run(work: Callable[[], Any]) -> Any:  # noqa: ANN401 - whatever the command computed
    """The command's coroutine, to its end. Raises Failed when there is no encoder, KeyboardInterrupt at Ctrl-C."""

    async def interruptible() -> Any:  # noqa: ANN401 - as above
        # asyncio's own answer to Ctrl-C waits for the next await: minutes away while a model is fitted.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        return await work()

    try:
        return session.run(interruptible())
    except EncoderUnavailable as error:
        raise Failed(str(error), exit_code=ExitCode.FAILED, code="encoder_unavailable") from error


def vectors(text: str, dtype: Dtype | None) -> VectorCache:
    """The text encoder, as settings name it, behind a file in the user's cache folder. Raises EncoderUnavailable."""
    from tensor_layer.wiring import local_text_encoder  # lazy: torch and the perception stack

    encoder = local_text_encoder(text, threads=1, cache_entries=1, dtype=None if dtype is None else dtype.value)
    version = encoder.version
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    # A checkpoint's version is its weights' digest, whatever they are computed in; the shipped encoder's says it.
    computed = f"-{dtype.value}" if dtype is not None and not version.version.endswith(dtype.value) else ""
    file = home / "aos" / "vectors" / f"{version.name}-{version.version}{computed}.sqlite"
    return VectorCache(file, encoder.encode, version.dimension)


def bar(label: str) -> Tell:
    """A progress bar on standard error where that is a terminal; silence elsewhere."""

    def tell(done: int, total: int) -> None:
        if sys.stderr.isatty():
            done = min(done, total)
            filled = BAR_WIDTH * done // max(total, 1)
            end = "\n" if done >= total else ""
            sys.stderr.write(f"\r{label:12} [{'#' * filled}{'.' * (BAR_WIDTH - filled)}] {done}/{total}{end}")
            sys.stderr.flush()

    return tell


def print_figures(figures: dict[str, object], *, as_json: bool) -> None:
    """JSON for programs; names and values for people, notes on standard error."""
    if as_json:
        session.print_json(figures)
        return
    notes = figures.pop("notes", [])
    for name, value in _flat(figures):
        session.print_line(f"{name:32} {_shown(value)}")
    for note in notes if isinstance(notes, Sequence) else ():
        sys.stderr.write(f"note: {note}\n")


def _shown(value: object) -> str:
    """A figure for people; a curve is for ``--json``."""
    if isinstance(value, list | tuple) and value and not isinstance(value[0], str | float | int):
        return f"{len(value)} points, with --json"
    return f"{value:.4f}" if isinstance(value, float) else str(value)


def _flat(figures: dict[str, object], prefix: str = "") -> list[tuple[str, object]]:
    flat: list[tuple[str, object]] = []
    for name, value in figures.items():
        flat.extend(_flat(value, f"{prefix}{name}.") if isinstance(value, dict) else [(prefix + name, value)])
    return flat
