"""``aos demo``: the main job on real input from the ``examples`` folder, on real parts in a temporary folder."""

from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.demo.show import run_demo
from gateway.cli.terminal import session
from gateway.cli.terminal.failure import ExitCode, Failed
from gateway.errors import GatewayError

app = typer.Typer(help="The main job on real input.")


@app.command()
def demo(
    results: Annotated[
        Path | None, typer.Option("--results", help="Folder for the results; default a new one.", file_okay=False)
    ] = None,
) -> None:
    """Start everything in a temporary folder, submit real tasks, kill a worker on the way, show what came out."""
    settings = session.settings_from().settings
    if results is not None:
        _make(results)
    try:
        code = session.run(run_demo(settings, session.print_line, results))
    except GatewayError as error:
        title, _, rest = str(error).partition("\n")
        raise Failed(title, code=error.code, detail=rest) from error
    raise typer.Exit(code)


def _make(folder: Path) -> None:
    """At once, not after everything was started."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        problem = f"the folder {folder} cannot be made: {(error.strerror or str(error)).lower()}"
        raise Failed(problem, exit_code=ExitCode.USAGE, next_step="name another with --results") from error
