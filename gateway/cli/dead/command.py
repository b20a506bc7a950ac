"""``aos dead``: work that was given up, with its reason; look at it, send it round again, or let it go."""

from typing import Annotated, Any
from urllib.parse import quote

import typer

from gateway.cli.dead.letter import letter_lines
from gateway.cli.door import views
from gateway.cli.door.client import client
from gateway.cli.terminal import session
from gateway.cli.terminal.failure import ExitCode, Failed
from gateway.cli.terminal.session import Json, Tenant, Url
from gateway.cli.terminal.windows import span

app = typer.Typer(help="Work that was given up: list it, look at it, try it again, let it go.")

Seq = Annotated[int, typer.Argument(help="Number of the dead letter, as `aos dead list` shows it.", min=1)]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


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


@app.command()
def remove(seq: Seq, yes: Yes = False, as_json: Json = False, tenant: Tenant = None, url: Url = None) -> None:
    """Let one dead letter go for good: its work can never be tried again."""
    _ask(f"dead letter {seq}", yes=yes, as_json=as_json)

    async def work() -> None:
        async with client(tenant, url) as gateway:
            await gateway.delete(f"/v1/dead/{seq}")

    session.run(work())
    if as_json:
        session.print_json({"removed": 1})
    else:
        session.print_line(f"dead letter {seq} is gone")


@app.command()
def purge(
    older_than: Annotated[
        str | None, typer.Option("--older-than", help="Only those given up so long ago: 30d, or before 2026-11-01.")
    ] = None,
    yes: Yes = False,
    as_json: Json = False,
    tenant: Tenant = None,
    url: Url = None,
) -> None:
    """Let all dead letters go for good, or the older ones. They also go by themselves, after `retention.dead_days`."""
    path, which = "/v1/dead/purge", "all dead letters"
    if older_than is not None:
        before = span(older_than).since.isoformat()
        path, which = f"{path}?before={quote(before)}", f"all dead letters from before {before[:19]} UTC"
    _ask(which, yes=yes, as_json=as_json)

    async def work() -> Any:  # noqa: ANN401 - the door's JSON
        async with client(tenant, url) as gateway:
            return await gateway.post(path)

    purged = session.run(work())
    if as_json:
        session.print_json(purged)
    else:
        session.print_line(f"{purged['removed']} dead letters are gone")


def _ask(which: str, *, yes: bool, as_json: bool) -> None:
    """Scripts say --yes. Raises Failed for a no, and where nobody can be asked."""
    if yes:
        return
    if as_json or not session.somebody_is_there():
        raise Failed(f"{which} would be gone for good", exit_code=ExitCode.USAGE, next_step="say --yes to mean it")
    if not typer.confirm(f"{which} will be gone for good, and the work can never be tried again. Go on?"):
        raise Failed("nothing was removed")
