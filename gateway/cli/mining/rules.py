"""``aos rules``: the routing rules in force, and taking them back. Talks straight to the bus."""

from typing import Annotated

import typer

from evolution.errors import EvolutionError
from evolution.rules.keeping import Rules
from gateway.cli.bus.connection import BUS_TIMEOUT_S, bus_of
from gateway.cli.bus.which import place
from gateway.cli.mining.mine import failed
from gateway.cli.terminal import session
from gateway.cli.terminal.session import Json, Tenant
from schemas.routing_rule import RoutingRule, RoutingRules

app = typer.Typer(help="Routing rules made of patterns: list them, take them back.")


@app.command("list")
def list_rules(as_json: Json = False, tenant: Tenant = None) -> None:
    """Every rule in force, who made it and why."""
    settings = session.settings_from({"tenant": tenant}).settings

    async def work() -> RoutingRules:
        async with bus_of(settings) as nc:
            return (await Rules(nc.jetstream(timeout=BUS_TIMEOUT_S)).read(settings.tenant)).rules

    try:
        found = session.run(work())
    except EvolutionError as error:
        raise failed(error) from error
    if as_json:
        session.print_json(found.model_dump(mode="json", exclude={"rules": {"__all__": {"kind": {"centre"}}}}))
        return
    session.print_table(
        ("rule", "effect", "agents", "for", "by", "since", "because"), [_row(rule) for rule in found.rules], "no rules"
    )
    session.print_line(f"\non the bus {place(settings)}")


@app.command()
def remove(
    rule: Annotated[str, typer.Argument(help="Id of the rule, as `aos rules list` shows it.")],
    as_json: Json = False,
    tenant: Tenant = None,
) -> None:
    """Take a rule back; workers route without it at once. An automatic one comes back if its pattern does."""
    settings = session.settings_from({"tenant": tenant}).settings

    async def work() -> RoutingRules:
        async with bus_of(settings, changes=True) as nc:
            return await Rules(nc.jetstream(timeout=BUS_TIMEOUT_S)).remove(settings.tenant, rule)

    try:
        left = session.run(work())
    except EvolutionError as error:
        raise failed(error) from error
    if as_json:
        session.print_json({"removed": rule, "left": len(left.rules)})
    else:
        session.print_line(f"rule {rule} is gone; {len(left.rules)} left")


def _row(rule: RoutingRule) -> tuple[object, ...]:
    conditions = [modality.value for modality in rule.modalities] + ([f"kind {rule.kind.name}"] if rule.kind else [])
    by = f"{rule.actor or '-'}{' (automatic)' if rule.automatic else ''}"
    return (
        *(rule.rule_id, rule.effect.value, ", ".join(rule.agents), ", ".join(conditions) or "every task"),
        *(by, f"{rule.at:%Y-%m-%d %H:%M}", rule.statement),
    )
