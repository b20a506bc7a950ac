"""``aos agents``: register, list, search and remove agents."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from gateway.cli.agents.auditions import auditions
from gateway.cli.door import views
from gateway.cli.door.client import GatewayClient, client
from gateway.cli.task.options import given
from gateway.cli.terminal import session
from gateway.cli.terminal.failure import ExitCode, Failed
from gateway.cli.terminal.session import Json, Tenant, Url
from schemas.parts import Modality

app = typer.Typer(help="Register, list, search and remove agents.")
app.command()(auditions)

AgentId = Annotated[str, typer.Argument(help="Agent id, as on its card.")]


@app.command()
def register(
    paths: Annotated[list[Path], typer.Argument(help="Schema files (YAML or JSON), or folders of them.", exists=True)],
    as_json: Json = False,
    tenant: Tenant = None,
    url: Url = None,
) -> None:
    """Register agents from schema files, each change as a new version. Bad cards are refused, the others registered."""

    async def work() -> tuple[list[Any], list[str]]:
        cards, refused = await asyncio.to_thread(_load, paths)
        async with client(tenant, url) as gateway:
            return await _register_all(gateway, cards, refused)

    registered, refused = session.run(work())
    if as_json:
        session.print_json({"registered": registered, "refused": refused})
    else:
        for view in registered:
            session.print_line(views.registered_line(view))
    if refused:
        raise Failed(f"{len(refused)} refused", code="card_invalid", detail="\n  ".join(refused))


@app.command("list")
def list_agents(
    limit: Annotated[int, typer.Option(help="How many, by id.", min=1, max=200)] = 50,
    cursor: Annotated[str | None, typer.Option(help="Where the last page ended.")] = None,
    as_json: Json = False,
    tenant: Tenant = None,
    url: Url = None,
) -> None:
    """List agents and whether they are alive."""

    async def work() -> Any:  # noqa: ANN401 - the door's JSON
        async with client(tenant, url) as gateway:
            return await gateway.get("/v1/agents", limit=limit, cursor=cursor)

    page = session.run(work())
    if as_json:
        session.print_json(page)
        return
    rows = [views.agent_row(entry) for entry in page["agents"]]
    session.print_table(views.AGENT_COLUMNS, rows, "no agents; register some: aos agents register FILE")
    if page.get("cursor"):
        session.print_line(f"more: --cursor {page['cursor']}")


@app.command()
def show(agent_id: AgentId, as_json: Json = False, tenant: Tenant = None, url: Url = None) -> None:
    """Show one agent: its card, revision and health."""
    entry = session.run(_get(f"/v1/agents/{agent_id}", tenant, url))
    if as_json:
        session.print_json(entry)
    else:
        for line in views.agent_lines(entry):
            session.print_line(line)


@app.command()
def search(
    text: Annotated[str, typer.Argument(help="What you are looking for, in words.")],
    limit: Annotated[int, typer.Option(help="How many at most.", min=1, max=200)] = 10,
    diverse: Annotated[bool, typer.Option("--diverse", help="Good ones that are not all alike.")] = False,
    require: Annotated[list[str] | None, typer.Option(help="Tag that the card has; repeat for several.")] = None,
    without: Annotated[list[str] | None, typer.Option(help="Tag that the card has not; repeat.")] = None,
    reads: Annotated[list[Modality] | None, typer.Option(help="What it reads; repeat for any of several.")] = None,
    max_cost: Annotated[float | None, typer.Option(help="What a call may cost.", min=0)] = None,
    as_json: Json = False,
    tenant: Tenant = None,
    url: Url = None,
) -> None:
    """Find the agents nearest to some words, among those that the filters leave."""
    if not text.strip():
        raise typer.BadParameter("it is empty; say in words what is wanted", param_hint="text")
    filters = given({"tags": require, "without_tags": without, "reads": reads, "max_cost": max_cost})
    asked = given({"text": text, "limit": limit, "diverse": diverse, "where": filters})

    async def work() -> Any:  # noqa: ANN401 - the door's JSON
        async with client(tenant, url) as gateway:
            return await gateway.post("/v1/agents/search", asked)

    reply = session.run(work())
    if as_json:
        session.print_json(reply)
    else:
        report = reply["report"]
        rows = [views.candidate_row(candidate) for candidate in report["candidates"]]
        session.print_table(
            views.CANDIDATE_COLUMNS, rows, "no agent: none is registered and alive, or filters leave none"
        )
        for line in views.excluded_lines(report.get("excluded", ())):
            session.print_line(line)


@app.command()
def history(agent_id: AgentId, as_json: Json = False, tenant: Tenant = None, url: Url = None) -> None:
    """Every version of a card that is kept, oldest first, removals included."""
    answer = session.run(_get(f"/v1/agents/{agent_id}/history", tenant, url))
    if as_json:
        session.print_json(answer)
    else:
        rows = [views.revision_row(revision) for revision in answer["revisions"]]
        session.print_table(("revision", "version", "change"), rows, "no versions")


@app.command()
def remove(agent_id: AgentId, as_json: Json = False, tenant: Tenant = None, url: Url = None) -> None:
    """Take an agent out; its history stays."""

    async def work() -> None:
        async with client(tenant, url) as gateway:
            await gateway.delete(f"/v1/agents/{agent_id}")

    session.run(work())
    if as_json:
        session.print_json({"removed": agent_id})
    else:
        session.print_line(f"{agent_id}: removed")


def _load(paths: Sequence[Path]) -> tuple[list[dict[str, Any]], list[str]]:
    """Cards as JSON, and what is wrong with the others: file, line, field, expectation, example."""
    from agents.errors import CardInvalid  # lazy: the other commands need none of it
    from agents.registry.card_files import load_card, load_folder

    cards, refusals = list[Any](), list[CardInvalid]()
    for path in paths:
        try:
            if path.is_dir():
                folder = load_folder(path)
                if not (folder.cards or folder.refused):
                    raise Failed(
                        f"there is no schema file in {path}",
                        exit_code=ExitCode.USAGE,
                        code="no_cards",
                        next_step="cards end in .yaml, .yml or .json; folders in it are not looked into",
                    )
                cards += [loaded.card for loaded in folder.cards]
                refusals += folder.refused
            else:
                cards.append(load_card(path))
        except CardInvalid as refusal:
            refusals.append(refusal)
    return [card.model_dump(mode="json") for card in cards], [str(refusal) for refusal in refusals]


async def _register_all(
    gateway: GatewayClient, cards: Sequence[dict[str, Any]], refused: list[str]
) -> tuple[list[Any], list[str]]:
    registered = []
    for card in cards:
        try:
            registered.append(await gateway.post("/v1/agents", card))
        except Failed as failure:
            if failure.exit_code is ExitCode.UNREACHABLE:
                raise
            refused.append(f"{card['id']}: {failure.title} {failure.detail}")
    return registered, refused


async def _get(path: str, tenant: str | None, url: str | None) -> Any:  # noqa: ANN401 - the door's JSON
    async with client(tenant, url) as gateway:
        return await gateway.get(path)
