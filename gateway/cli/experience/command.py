"""``aos experience``: what happened, for learning. Reads the store itself, beside a running evolution role."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from evolution.errors import ColdTierUnavailable, EvolutionError, ExperienceStoreUnavailable
from evolution.ports import ExperienceQuery
from gateway.cli.experience.export import Agent, AllTenants, export, tenant_of
from gateway.cli.experience.forgotten import as_json_of, lines_of
from gateway.cli.experience.source import stored, where
from gateway.cli.terminal import session
from gateway.cli.terminal.bar import bar
from gateway.cli.terminal.failure import ExitCode, Failed
from gateway.cli.terminal.session import Json, Tenant
from gateway.cli.terminal.windows import Window, span
from gateway.settings import Settings
from schemas.experience import ExperienceRecord

if TYPE_CHECKING:
    from gateway.keeping.forgetting import Forgot

app = typer.Typer(help="What happened, for learning: follow it, export it, keep it small, forget it.")

app.command()(export)


@app.command()
def tail(
    agent: Agent = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as tasks finish, until Ctrl-C.")] = False,
    limit: Annotated[int, typer.Option(help="How many of the latest to show first.", min=0, max=1_000_000)] = 20,
    all_tenants: AllTenants = False,
    as_json: Json = False,
    tenant: Tenant = None,
) -> None:
    """Print the latest finished and failed tasks, oldest first. With --json, one record a line."""
    settings = session.settings_from({"tenant": tenant}).settings
    query = ExperienceQuery(tenant=tenant_of(settings, all_tenants), agent_id=agent, limit=max(1, limit))

    async def work() -> None:
        async with stored(settings) as store:
            if follow:
                async for record in store.tail(query, latest=limit):
                    _print(record, as_json=as_json)
            for record in reversed(await store.find(query)) if limit else ():
                _print(record, as_json=as_json)

    session.run(work())


@app.command()
def summary(
    window: Window = "30d",
    agent: Agent = None,
    as_json: Json = False,
    tenant: Tenant = None,
) -> None:
    """Tasks, success, latency and cost by day and agent; also of days whose records are long gone."""
    from gateway import experience_desk  # lazy: pyarrow and obstore, which --help need not pay

    settings = session.settings_from({"tenant": tenant}).settings
    with _reported():
        asked = span(window)
        days = experience_desk.days(settings, asked.since, asked.until, agent)
    if as_json:
        session.print_json([{name: getattr(day, name) for name in day.__slots__} for day in days])
        return
    rows = [
        (
            d.day,
            d.agent_id or "all",
            d.tasks,
            f"{d.successes / d.tasks:.1%}",
            f"{d.mean_latency_ms:.0f}",
            f"{d.mean_cost:.4g}",
        )
        for d in days
    ]
    session.print_table(("day", "agent", "tasks", "success", "latency ms", "cost"), rows, "nothing happened")


@app.command()
def compact(as_json: Json = False) -> None:
    """Move what is no longer hot to the cold tier, and remove what is too old. The evolution role does so by itself.

    In InfluxDB: give the buckets the retention that is set, and count whole hours into buckets that keep for ever.
    """
    from evolution.tiers.compaction import Compacted
    from gateway import experience_desk  # lazy: pyarrow and obstore, which --help need not pay

    settings = session.settings_from({}).settings
    with bar("moving to the cold tier", silent=as_json) as progress, _reported():
        experience_desk.must_exist(settings)
        done = experience_desk.compact(settings, progress)
    if as_json:
        session.print_json({name: getattr(done, name) for name in done.__slots__})
    elif not isinstance(done, Compacted):
        session.print_line(f"{done.buckets} buckets have another retention now; {done.hours} hours are counted")
    else:
        session.print_line(f"{done.moved} records moved to {done.files} files, {done.removed} removed for good")


@app.command()
def forget(
    task: Annotated[str | None, typer.Option("--task", help="Id of a task.")] = None,
    subject: Annotated[
        str | None, typer.Option("--subject", help="A person: tasks with this label `subject`, feedback of this actor.")
    ] = None,
    as_json: Json = False,
    tenant: Tenant = None,
) -> None:
    """Remove every trace of a task or a person from experience, and of its tasks from the bus and the object store.

    Cannot be undone.
    """
    from gateway import experience_desk  # lazy, as above

    if not (task or subject) or (task and subject):
        raise Failed("say what to forget: either --task or --subject", exit_code=ExitCode.USAGE)
    settings = session.settings_from({"tenant": tenant}).settings
    with bar("looking for it", silent=as_json) as progress, _reported():
        experience_desk.must_exist(settings)
        gone = experience_desk.forget(settings, settings.tenant, task=task, subject=subject, progress=progress)
    forgot = session.run(_forget_on_the_bus(settings, gone.tasks))
    if forgot is not None:
        ended = set(gone.tasks).difference(forgot.under_way)
        with _reported():
            experience_desk.finish_forgetting(settings, settings.tenant, ended)
    if as_json:
        session.print_json(as_json_of(gone, forgot))
    else:
        for line in lines_of(gone, forgot, settings.learning.keep_promoted_days):
            session.print_line(line)
    _check_nothing_left(gone.left)


@app.command("rotate-keys")
def rotate_keys(
    drop_old: Annotated[
        bool, typer.Option("--drop-old", help="Then drop the older keys; exports and backups sealed by them are lost.")
    ] = False,
    as_json: Json = False,
    tenant: Tenant = None,
) -> None:
    """Make a new key for the tenant and seal its task text and feedback by it. Works beside running roles."""
    from gateway import experience_desk  # lazy, as above

    settings = session.settings_from({"tenant": tenant}).settings
    with bar("sealing anew", silent=as_json) as progress, _reported():
        renewed, dropped = experience_desk.rotate_keys(settings, settings.tenant, drop_old=drop_old, progress=progress)
    if as_json:
        session.print_json({"renewed": renewed, "dropped_keys": dropped})
    else:
        session.print_line(
            f"{renewed} texts of tenant {settings.tenant} are sealed by the new key; {dropped} keys dropped"
        )


def _check_nothing_left(left: Sequence[str]) -> None:
    """Raises Failed while files that are no longer read lie on in the object store: that is not forgotten yet."""
    if left:
        raise Failed(
            f"the object store did not remove {', '.join(left)}: nobody reads what was forgotten, but it lies there",
            exit_code=ExitCode.UNREACHABLE,
            next_step="aos experience compact, once it answers; the evolution role tries again, too",
        )


async def _forget_on_the_bus(settings: Settings, tasks: Sequence[str]) -> "Forgot | None":
    """What of these tasks is gone from the bus and the object store; None when one of them does not answer."""
    from agents.errors import BusUnavailable
    from gateway.cli.bus.connection import BUS_TIMEOUT_S, bus_of
    from gateway.foundation import open_unused
    from gateway.keeping.forgetting import Forgetting
    from tensor_layer.errors import BlobStoreUnavailable

    try:
        async with bus_of(settings) as nc:
            forgetting = Forgetting(nc, nc.jetstream(timeout=BUS_TIMEOUT_S), open_unused(settings))
            return await forgetting.forget(settings.tenant, tasks)
    except (Failed, EvolutionError, BusUnavailable, BlobStoreUnavailable):
        return None


@contextmanager
def _reported() -> Iterator[None]:
    try:
        yield
    except EvolutionError as error:
        unreachable = isinstance(error, ExperienceStoreUnavailable | ColdTierUnavailable)
        raise Failed(
            str(error),
            exit_code=ExitCode.UNREACHABLE if unreachable else ExitCode.FAILED,
            code=error.code,
            next_step=where(error),
        ) from error


def _print(record: ExperienceRecord, *, as_json: bool) -> None:
    if as_json:
        session.print_line(record.model_dump_json(exclude={"vector"}))
        return
    team = " → ".join(record.chosen) or "nobody"
    session.print_line(
        f"{record.at:%Y-%m-%d %H:%M:%S}  {record.state.value:9}  {record.latency_ms:7.0f} ms  "
        f"{team:40}  {record.instruction.splitlines()[0][:60] if record.instruction else ''}"
    )
