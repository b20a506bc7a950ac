"""``aos schema``: JSON Schemas and the map of the bus, written from the models."""

from pathlib import Path
from typing import Annotated

import typer

from gateway import schema_export
from gateway.cli.terminal import session
from gateway.cli.terminal.failure import Failed
from gateway.cli.terminal.session import Json

app = typer.Typer(help="JSON Schemas and the map of the bus: export and check.")

Root = Annotated[
    Path, typer.Argument(help="Folder of the project; schemas/json and docs/message-map.md lie in it.", file_okay=False)
]


@app.command()
def export(root: Root = Path(), as_json: Json = False) -> None:
    """Write the files that differ from the models."""
    try:
        changed = schema_export.export(root)
    except OSError as error:
        raise Failed(f"cannot write {error.filename}: {error.strerror}", code="not_writable") from error
    if as_json:
        session.print_json({"changed": [str(path) for path in changed]})
        return
    for path in changed:
        session.print_line(str(path))
    session.print_line(f"{len(changed)} of {len(schema_export.generated())} files written")


@app.command()
def check(root: Root = Path(), as_json: Json = False) -> None:
    """Fail when a file differs from the models."""
    stale = schema_export.stale(root)
    if as_json:
        session.print_json({"stale": [str(path) for path in stale]})
    if stale:
        listed = ", ".join(str(path) for path in stale)
        raise Failed("generated files are stale", code="stale", detail=listed, next_step="aos schema export")
    if not as_json:
        session.print_line("all files are up to date")
