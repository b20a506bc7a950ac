"""``aos policy prune``: old versions make room, in the bucket and in the object store."""

from typing import TYPE_CHECKING, Annotated

import typer

from evolution.errors import EvolutionError
from gateway.cli.bus.connection import BUS_TIMEOUT_S, bus_of
from gateway.cli.terminal import session
from gateway.cli.terminal.evolution_failure import failed
from gateway.cli.terminal.session import Json, Tenant

if TYPE_CHECKING:
    from evolution.policies.pruning import Pruned


def prune(
    keep: Annotated[int | None, typer.Option(help="How many of the newest stay.  [default: as set]", min=1)] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
    everything: Annotated[
        bool, typer.Option("--all", help="Judge versions that people put in like the learner's own.")
    ] = False,
    as_json: Json = False,
    tenant: Tenant = None,
) -> None:
    """Remove old versions: all but those in use, promoted lately, or among the newest. Cannot be undone.

    The evolution role does so by itself, but never touches a version that a person put in.
    """
    settings = session.settings_from({"tenant": tenant}).settings

    async def work() -> "Pruned":
        from dataclasses import replace

        from gateway.policy_desk import keeping_of, prune_policies  # lazy: rankers bring scipy

        keeping = replace(keeping_of(settings), everything=everything)
        if keep is not None:
            keeping = replace(keeping, newest=keep)
        try:
            async with bus_of(settings, changes=not dry_run) as nc:
                js = nc.jetstream(timeout=BUS_TIMEOUT_S)
                return await prune_policies(js, settings, settings.tenant, keeping, dry_run=dry_run)
        except EvolutionError as error:
            raise failed(error) from error

    found = session.run(work())
    if as_json:
        session.print_json({name: getattr(found, name) for name in found.__slots__} | {"dry_run": dry_run})
        return
    rows = [(name, "stays", why) for name, why in found.kept.items()]
    rows += [(name, "would go" if dry_run else "gone", "") for name in found.gone]
    session.print_table(("policy", "", "why"), sorted(rows), "no versions")
    what = "would leave" if dry_run else "left"
    size = "" if dry_run else f" ({found.freed_bytes / 2**20:.1f} MiB)"
    session.print_line(f"\n{len(found.gone)} versions {what} the bucket, {found.parts} parts the object store{size}")
    for name in found.unread:
        session.print_line(f"damaged, so that no parts are removed while it is there: {name}")
