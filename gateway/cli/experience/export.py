"""``aos experience export``: records in a file, for notebooks and other tools."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from evolution.export import ExportFormat
from evolution.export import export as export_records
from evolution.ports import ExperienceQuery
from gateway.cli.experience.source import stored
from gateway.cli.experience.whose import kept_in
from gateway.cli.terminal import session
from gateway.cli.terminal.bar import bar
from gateway.cli.terminal.failure import ExitCode, Failed
from gateway.cli.terminal.session import Json, Tenant
from gateway.cli.terminal.windows import AnyWindow, span
from gateway.settings import Settings

Agent = Annotated[str | None, typer.Option("--agent", help="Only tasks that this agent worked on.")]
AllTenants = Annotated[bool, typer.Option("--all-tenants", help="Of every tenant, not only one.")]

LINES = (ExportFormat.JSONL, ExportFormat.CSV)
"""Formats that are written from the first byte to the last; the others go back to what they wrote."""


def export(
    path: Annotated[
        Path | None,
        typer.Argument(
            help="File to write; its suffix says the format. - is standard output. Default: experience.parquet.",
            dir_okay=False,
        ),
    ] = None,
    parquet: Annotated[bool, typer.Option("--parquet", help="Parquet, whatever the suffix.")] = False,
    csv: Annotated[bool, typer.Option("--csv", help="Comma-separated values, likewise.")] = False,
    arrow: Annotated[bool, typer.Option("--arrow", help="An Arrow file, likewise.")] = False,
    jsonl: Annotated[bool, typer.Option("--jsonl", help="One record as JSON on each line, likewise.")] = False,
    agent: Agent = None,
    window: AnyWindow = None,
    all_tenants: AllTenants = False,
    feedback: Annotated[
        bool, typer.Option("--feedback/--no-feedback", help="Columns of what was said of each task; not in --jsonl.")
    ] = True,
    as_json: Json = False,
    tenant: Tenant = None,
) -> None:
    """Write records to a file for notebooks and other tools."""
    settings = session.settings_from({"tenant": tenant}).settings
    flags = {"parquet": parquet, "csv": csv, "arrow": arrow, "jsonl": jsonl}
    target, kind = _target(path, [ExportFormat(name) for name, said in flags.items() if said])
    asked = span(window) if window is not None else None
    query = ExperienceQuery(
        tenant=tenant_of(settings, all_tenants),
        since=asked.since if asked else None,
        until=asked.until if asked else None,
        agent_id=agent,
    )

    async def work() -> int:
        async with stored(settings) as store:
            with bar("exporting", silent=as_json) as progress:
                return await export_records(store, query, target, kind, feedback=feedback, progress=progress)

    count = session.run(work())
    if path == session.STANDARD_OUTPUT:
        typer.echo(f"{count} records of {kept_in(settings)}", err=True)
    elif as_json:
        session.print_json({"path": str(target), "records": count})
    else:
        session.print_line(f"{count} records of {kept_in(settings)} in {target}")


def tenant_of(settings: Settings, all_tenants: bool) -> str | None:
    """Whose records are asked for; None: everybody's."""
    return None if all_tenants else settings.tenant


def _target(path: Path | None, said: Sequence[ExportFormat]) -> tuple[Path, ExportFormat]:
    """Where to write, and as what."""
    if len(said) > 1:
        raise Failed(f"one format at a time: --{' or --'.join(said)}", exit_code=ExitCode.USAGE)
    if path is None:
        kind = said[0] if said else ExportFormat.PARQUET
        return Path(f"experience.{kind.value}"), kind
    if path == session.STANDARD_OUTPUT:
        kind = said[0] if said else ExportFormat.JSONL
        if kind not in LINES:
            raise Failed(
                f"{kind.value} needs a file, not standard output; --jsonl and --csv do not", exit_code=ExitCode.USAGE
            )
        return Path("/dev/stdout"), kind
    known = {f".{kind.value}": kind for kind in ExportFormat} | {".ndjson": ExportFormat.JSONL}
    if not said and path.suffix not in known:
        detail = f"known: {', '.join(sorted(known))}; or say --parquet, --csv, --arrow or --jsonl"
        raise Failed(f"the suffix of {path} says no format", exit_code=ExitCode.USAGE, detail=detail)
    return path, said[0] if said else known[path.suffix]
