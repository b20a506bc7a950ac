"""``aos dead``: work that was given up, with its reason; look at it, send it round again."""

from typing import Annotated, Any

import typer

from gateway.cli.dead.letter import letter_lines
from gateway.cli.door import views
from gateway.cli.door.client import client
from gateway.cli.terminal import session
from gateway.cli.terminal.session import Json, Tenant, Url

app = typer.Typer(help="Work that was given up: list it, look at it, try it again.")

Seq = Annotated[int, typer.Argument(help="Number of the dead letter, as `aos dead list` shows it.", min=1)]


@app.command("list")
def list_dead(
    limit: Annotated[int, typer.Option(help="How many, newest first.", min=1, max=1000)] = 20,
    cursor: Annotated[str | None, typer.Option(help="Where the last page ended.")] = None,
    as_json: Json = False,
    tenant: Tenant = None,
    url: Url = None,
) -> None:
    """List dead letters, newest first."""

    async def work() -> Any:  # noqa: ANN401 - the door's JSON
        async with client(tenant, url) as gateway:
            return await gateway.get("/v1/dead", limit=limit, cursor=cursor)

    page = session.run(work())
    if as_json:
        session.print_json(page)
        return
    rows = [
        (one["seq"], str(one["stored_at"])[:19], one["task_id"], one["code"], one["reason"]) for one in page["letters"]
    ]
    session.print_table(views.DEAD_COLUMNS, rows, "nothing was given up")
    if page.get("cursor"):
        session.print_line(f"more: --cursor {page['cursor']}")


@app.command()
def show(seq: Seq, as_json: Json = False, tenant: Tenant = None, url: Url = None) -> None:
    """Show one dead letter with its reason and the original message; --json has that whole, in base64."""

    async def work() -> Any:  # noqa: ANN401 - the door's JSON
        async with client(tenant, url) as gateway:
            return await gateway.get(f"/v1/dead/{seq}")

    letter = session.run(work())
    if as_json:
        session.print_json(letter)
        return
    for line in letter_lines(letter):
        session.print_line(line)


@app.command()
def redrive(seq: Seq, as_json: Json = False, tenant: Tenant = None, url: Url = None) -> None:
    """Send the original message round again. Asking twice is harmless."""

    async def work() -> Any:  # noqa: ANN401 - the door's JSON
        async with client(tenant, url) as gateway:
            return await gateway.post(f"/v1/dead/{seq}/redrive")

    redriven = session.run(work())
    if as_json:
        session.print_json(redriven)
    else:
        session.print_line(
            f"dead letter {seq} is back on {redriven['subject']} as task {redriven.get('task_id') or '-'}"
        )
