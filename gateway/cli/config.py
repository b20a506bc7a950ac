"""``aos config``: every setting, its value and where it came from."""

from dataclasses import asdict

import typer

from gateway.cli.terminal import session
from gateway.cli.terminal.session import Json
from gateway.settings.listing import rows

app = typer.Typer(help="Every setting, its value and where it came from.")


@app.callback()
def _group() -> None:
    """Every setting, its value and where it came from."""


@app.command()
def show(as_json: Json = False) -> None:
    """Print every setting with its value, where it came from, and what it means."""
    found = rows(session.settings_from())
    if as_json:
        session.print_json([asdict(row) for row in found])
        return
    table = [(row.name, _shown(row.value), row.source, row.variables[0], row.description) for row in found]
    session.print_table(("setting", "value", "from", "variable", "meaning"), table, "no settings")


def _shown(value: object) -> str:
    return "-" if value is None else str(value)
