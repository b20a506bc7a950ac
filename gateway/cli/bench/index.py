"""``aos bench index``: how fast and how exact the agent index is at a size. Nothing here talks to a gateway."""

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.bench.screen import bar, print_figures, run
from gateway.cli.terminal.bar import say
from gateway.cli.terminal.failure import ExitCode, Failed
from gateway.cli.terminal.session import Json

ENGINES = ("edge", "local")


def index(
    skills: Annotated[int, typer.Option(help="How many skills are made up and indexed.", min=10)] = 10_000,
    engine: Annotated[str, typer.Option(help="edge: Qdrant in process. local: qdrant-client's stand-in.")] = "edge",
    questions: Annotated[int, typer.Option(help="How many searches are measured.", min=10)] = 500,
    seed: Annotated[int, typer.Option(help="Same seed, same skills and questions.", min=0)] = 0,
    folder: Annotated[
        Path | None, typer.Option(help="Where the index lies meanwhile; default the system's.", file_okay=False)
    ] = None,
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave the index in --folder; use the one that the same call left there.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Recall against exact search, latency, build time and memory of the agent index at a size."""
    if engine not in ENGINES:
        raise typer.BadParameter(f"{engine!r} is none of {', '.join(ENGINES)}", param_hint="--engine")
    if keep and (folder is None or engine != "edge"):
        raise typer.BadParameter("it needs --folder, and the engine edge", param_hint="--keep")
    from agents.matching.evaluation import index_bench, index_made  # lazy: numpy and the engine

    async def work() -> dict[str, object]:
        name = f"skills-{skills}-seed-{seed}"
        with _place(folder, name if keep else None) as place:
            async with index_bench.opened(engine, place, skills, name if keep else None) as (opened, graphed):
                say("making skills …")
                made = index_made.make(skills, seed, questions)
                figures = await index_bench.measure(made, seed, opened, engine, graphed, bar("skills"))
        return figures.as_json()

    print_figures(run(work), as_json=as_json)


@contextmanager
def _place(folder: Path | None, kept: str | None) -> Iterator[Path]:
    """Where the index lies: a folder of its own that stays when it has a name, and goes afterwards when it has none.

    ``folder`` is made where it is missing. Raises Failed when nothing can be written there.
    """
    with ExitStack() as stack:
        try:
            if folder is not None:
                folder.mkdir(parents=True, exist_ok=True)
            if folder is not None and kept is not None:
                place = folder / kept
                place.mkdir(exist_ok=True)
            else:
                place = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="aos-bench-", dir=folder)))
        except OSError as error:
            raise Failed(
                f"the index cannot lie in {folder or tempfile.gettempdir()}: {(error.strerror or str(error)).lower()}",
                exit_code=ExitCode.USAGE,
                code="folder_unusable",
                next_step="name one with room where you may write: --folder FOLDER",
            ) from error
        yield place
