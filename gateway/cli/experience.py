"""``aos experience``: what happened, for learning. Reads the store itself, beside a running evolution role."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from evolution.errors import EvolutionError
from evolution.export import ExportFormat
from evolution.export import export as export_records
from evolution.ports import ExperienceQuery, ExperienceStore
from evolution.wiring import build_store
from gateway.cli import session
from gateway.cli.failure import ExitCode, Failed
from gateway.cli.session import Json, Tenant
from gateway.roles.evolution import store_settings
from gateway.settings import Settings
from schemas.experience import ExperienceRecord

app = typer.Typer(help="What happened, for learning: follow it, export it.")

Agent = Annotated[str | None, typer.Option("--agent", help="Only tasks that this agent worked on.")]
Days = Annotated[float | None, typer.Option("--days", help="Only the last so many days.", min=0)]
AllTenants = Annotated[bool, typer.Option("--all-tenants", help="Of every tenant, not only one.")]


@app.command()
def tail(
    agent: Agent = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as tasks finish, until Ctrl-C.")] = False,
    limit: Annotated[int, typer.Option(help="How many of the latest to show first.", min=0)] = 20,
    all_tenants: AllTenants = False,
    as_json: Json = False,
    tenant: Tenant = None,
) -> None:
    """Print the latest finished and failed tasks, oldest first. With --json, one record a line."""
    settings = session.settings_from({"tenant": tenant}).settings
    query = ExperienceQuery(tenant=_tenant(settings, all_tenants), agent_id=agent, limit=max(1, limit))

    async def work() -> None:
        async with _opened(settings) as store:
            for record in reversed(await store.find(query)) if limit else ():
                _print(record, as_json=as_json)
            if follow:
                async for record in store.tail(query):
                    _print(record, as_json=as_json)

    session.run(work())


@app.command()
def export(
    path: Annotated[Path, typer.Argument(help="File to write: .parquet, .csv, .arrow or .jsonl.", dir_okay=False)],
    kind: Annotated[ExportFormat | None, typer.Option("--format", help="Default: by the file's suffix.")] = None,
    agent: Agent = None,
    days: Days = None,
    all_tenants: AllTenants = False,
    as_json: Json = False,
    tenant: Tenant = None,
) -> None:
    """Write records to a file for notebooks and other tools."""
    settings = session.settings_from({"tenant": tenant}).settings
    since = datetime.now(UTC) - timedelta(days=days) if days is not None else None
    query = ExperienceQuery(tenant=_tenant(settings, all_tenants), since=since, agent_id=agent)

    async def work() -> int:
        async with _opened(settings) as store:
            return await export_records(store, query, path, kind or _format_of(path))

    count = session.run(work())
    if as_json:
        session.print_json({"path": str(path), "records": count})
    else:
        session.print_line(f"{count} records in {path}")


@asynccontextmanager
async def _opened(settings: Settings) -> AsyncIterator[ExperienceStore]:
    store = build_store(store_settings(settings, read_only=True))
    try:
        yield store
    except EvolutionError as error:
        raise Failed(
            str(error),
            exit_code=ExitCode.UNREACHABLE,
            code=error.code,
            next_step="run this where the gateway keeps its data: --data of `aos up`, AOS_DATA_DIR, or AOS_INFLUX_URL",
        ) from error
    finally:
        await store.close()


def _tenant(settings: Settings, all_tenants: bool) -> str | None:
    return None if all_tenants else settings.tenant


def _format_of(path: Path) -> ExportFormat:
    known = {f".{kind.value}": kind for kind in ExportFormat} | {".ndjson": ExportFormat.JSONL}
    if path.suffix not in known:
        listed = ", ".join(sorted(known))
        raise Failed(f"the suffix of {path} says no format", exit_code=ExitCode.USAGE, detail=f"known: {listed}")
    return known[path.suffix]


def _print(record: ExperienceRecord, *, as_json: bool) -> None:
    if as_json:
        session.print_line(record.model_dump_json(exclude={"vector"}))
        return
    team = " → ".join(record.chosen) or "nobody"
    session.print_line(
        f"{record.at:%Y-%m-%d %H:%M:%S}  {record.state.value:9}  {record.latency_ms:7.0f} ms  "
        f"{team:40}  {record.instruction.splitlines()[0][:60] if record.instruction else ''}"
    )
