"""``aos train``: makes the small weights that ship with the project, from generated data, and measures them."""

import os
import sys
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from gateway.cli.terminal import session
from gateway.cli.terminal.failure import ExitCode, Failed
from gateway.cli.terminal.session import Json
from tensor_layer.errors import EncoderUnavailable

app = typer.Typer(help="Train the small image and audio towers and the fusion weights, from generated data.")

BAR_WIDTH = 24
LINES_PER_STAGE = 10
"""Where standard error is no terminal, every tenth of a stage says so on a line of its own."""


class Tower(StrEnum):
    """What can be trained."""

    IMAGE = "image"
    AUDIO = "audio"
    FUSION = "fusion"
    FAMILIARITY = "familiarity"


@app.callback()
def _group() -> None:
    """Makes this a group: more than towers may be trained one day."""


@app.command()
def towers(
    only: Annotated[list[Tower] | None, typer.Option(help="Train just this; may be given twice.")] = None,
    out: Annotated[Path, typer.Option(help="Weights, loss curves, figures and checkpoints go here.")] = Path("towers"),
    cache: Annotated[
        Path | None, typer.Option(help="Where rendered data is kept.", show_default="~/.cache/aos/towers")
    ] = None,
    seed: Annotated[int, typer.Option(help="Same seed, same data and the same batches.", min=0)] = 1,
    threads: Annotated[int, typer.Option(help="CPU threads.", min=1)] = 1,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the checkpoint in the output folder.")] = False,
    quick: Annotated[bool, typer.Option("--quick", help="Two minutes to see that it works; poor weights.")] = False,
    as_json: Json = False,
) -> None:
    """Train towers into the text encoder's space and measure them on held-out data. About 20 CPU-minutes in all."""
    from tensor_layer.towers import course  # lazy: torch takes seconds that --help need not pay

    plan = course.Course(out, cache or _cache(), seed=seed, threads=threads, resume=resume, quick=quick)
    trainings: dict[Tower, Callable[[course.Course, Callable[[str, int, int], None]], dict[str, Any]]] = {
        Tower.IMAGE: course.train_image,
        Tower.AUDIO: course.train_audio,
        Tower.FUSION: course.train_fusion,
        Tower.FAMILIARITY: course.train_familiarity,
    }
    _make_room(out)
    reports = {}
    for tower, train in trainings.items():
        if tower in (only or Tower):
            reports[tower.value] = _trained(train, plan)
    if as_json:
        session.print_json({"out": str(out), **reports})
    else:
        _show(reports)


def _make_room(out: Path) -> None:
    """Found out now rather than after the training."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        (out / ".room").touch()
        (out / ".room").unlink()
    except OSError as error:
        raise Failed(
            f"nothing can be written to {out}: {error.strerror}", exit_code=ExitCode.USAGE, code="file_trouble"
        ) from error


def _trained(train: Callable[[Any, Callable[[str, int, int], None]], dict[str, Any]], plan: object) -> dict[str, Any]:
    try:
        return train(plan, _Progress())
    except EncoderUnavailable as error:
        raise Failed(str(error), code=error.code) from error
    except ValueError as error:
        raise Failed(str(error), exit_code=ExitCode.USAGE, code="checkpoint_of_another_training") from error
    except OSError as error:
        raise Failed(f"a file could not be read or written: {error}", code="file_trouble") from error


class _Progress:
    """A bar on a terminal, a line now and then elsewhere. Always on standard error."""

    def __init__(self) -> None:
        self._said: tuple[str, int] | None = None

    def __call__(self, stage: str, done: int, total: int) -> None:
        """``done`` of ``total`` steps of ``stage``."""
        if sys.stderr.isatty():
            filled = BAR_WIDTH * done // max(total, 1)
            end = "\n" if done >= total else ""
            sys.stderr.write(f"\r{stage:28} [{'#' * filled}{'.' * (BAR_WIDTH - filled)}] {done}/{total}{end}")
        elif (part := (stage, LINES_PER_STAGE * done // max(total, 1))) != self._said:
            self._said = part
            sys.stderr.write(f"{stage} {done}/{total}\n")
        sys.stderr.flush()


def _show(reports: dict[str, dict[str, Any]]) -> None:
    flat = {name: report for name, report in reports.items() if name != Tower.FAMILIARITY}
    flat |= {f"{name}, what it knows": each for name, each in reports.get(Tower.FAMILIARITY, {}).items()}
    for tower, report in flat.items():
        session.print_line(f"{tower}: version {report['version']}, {report['weights_bytes'] / 1e6:.1f} MB")
        for name, value in _flat(report["held_out"]):
            session.print_line(f"  {name:48} {value}")


def _flat(figures: dict[str, Any], prefix: str = "") -> list[tuple[str, object]]:
    flat: list[tuple[str, object]] = []
    for name, value in figures.items():
        flat.extend(_flat(value, f"{prefix}{name}.") if isinstance(value, dict) else [(prefix + name, value)])
    return flat


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "aos" / "towers"
