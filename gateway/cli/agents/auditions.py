"""``aos agents auditions``: what newcomers answered when they were asked past tasks."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli.bus.connection import BUS_TIMEOUT_S, bus_of
from gateway.cli.terminal import session
from gateway.cli.terminal.failure import ExitCode, Failed
from gateway.cli.terminal.session import Json, Tenant
from gateway.settings import Settings
from schemas.audition import AUDITION_OF

if TYPE_CHECKING:
    from gateway.auditions.keeping import HeldAudition

COLUMNS = ("agent", "began", "asked", "done", "cost", "state")
NONE = (
    "no auditions; set learning.auditions (AOS_LEARNING__AUDITIONS), and give agents that change nothing the tag "
    "side_effects:none"
)


def auditions(
    again: Annotated[
        str | None,
        typer.Option("--again", help="Forget this agent's, so that it is auditioned again if it is still new."),
    ] = None,
    as_json: Json = False,
    tenant: Tenant = None,
) -> None:
    """Show what new agents answered when they were asked past tasks, with no effect for anybody."""
    settings = session.settings_from({"tenant": tenant}).settings
    held = session.run(_held(settings, again))
    if as_json:
        session.print_json({"auditions": [_as_json(one) for one in held]})
    else:
        session.print_table(COLUMNS, [_row(one) for one in held], NONE)


async def _held(settings: Settings, again: str | None) -> "list[HeldAudition]":
    from agents.errors import BusUnavailable
    from gateway.auditions.keeping import Auditions  # lazy: rankers bring scipy, which --help need not pay

    async with bus_of(settings, changes=again is not None) as nc:
        kept = Auditions(nc.jetstream(timeout=BUS_TIMEOUT_S))
        try:
            held = await kept.all(settings.tenant)
            if again is None:
                return held
            if again not in {one.audition.agent_id for one in held}:
                raise Failed(
                    f"agent {again!r} was never auditioned",
                    exit_code=ExitCode.NOT_FOUND,
                    next_step="aos agents auditions says who was",
                )
            await kept.remove(settings.tenant, again)
            return [one for one in held if one.audition.agent_id != again]
        except BusUnavailable as error:
            raise Failed(str(error), exit_code=ExitCode.UNREACHABLE, code=error.code) from error


def _as_json(held: "HeldAudition") -> dict[str, Any]:
    audition = held.audition
    return {
        "agent_id": audition.agent_id,
        "began": audition.began.isoformat(),
        "wanted": audition.wanted,
        "asked": len(audition.records),
        "succeeded": sum(record.success for record in audition.records),
        "cost": sum(record.cost for record in audition.records),
        "done": audition.done,
        "answers": [
            {
                "task_id": record.labels.get(AUDITION_OF, ""),
                "success": record.success,
                "latency_ms": record.latency_ms,
                "cost": record.cost,
                "failure_code": record.failure_code,
            }
            for record in audition.records
        ],
    }


def _row(held: "HeldAudition") -> tuple[str, ...]:
    said = _as_json(held)
    return (
        said["agent_id"],
        f"{held.audition.began:%Y-%m-%d %H:%M}",
        f"{said['asked']} of {said['wanted']}",
        str(said["succeeded"]),
        f"{said['cost']:g}",
        "over" if said["done"] else "under way",
    )
