"""``aos policy list``: every version, what it is just now, and how the one in force does. Registered by ``policy``."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from evolution.policies.telling import freezing
from gateway.cli.bus.which import place
from gateway.cli.policy import views
from gateway.cli.policy.source import opened
from gateway.cli.terminal import session
from gateway.cli.terminal.session import Json, Tenant
from gateway.settings import Settings
from schemas.policy_state import PolicyState, PriorComparison

if TYPE_CHECKING:
    from evolution.policies.registry import Listed


@dataclass(frozen=True, slots=True)
class _Standing:
    """Everything that the list tells."""

    state: PolicyState
    policies: "tuple[Listed, ...]"
    froze: PolicyState | None
    comparison: PriorComparison | None


def list_policies(as_json: Json = False, tenant: Tenant = None) -> None:
    """Every version, with what it learned from and what it is just now."""
    settings = session.settings_from({"tenant": tenant}).settings
    found = session.run(_standing(settings))
    if as_json:
        session.print_json(
            {
                "state": found.state.model_dump(mode="json"),
                "policies": [views.listed_json(item) for item in found.policies],
                "comparison": found.comparison.model_dump(mode="json") if found.comparison else None,
            }
        )
        return
    rows = [views.row(item) for item in found.policies]
    session.print_table(("policy", "is", "parent", "made", "records", "metrics"), rows, "no policies")
    if found.froze is not None:
        session.print_line(f"\n{views.frozen_by(found.froze)}")
    if found.state.held:
        session.print_line("\nwhat is learned waits for a person, as somebody went back: aos policy promote ends it")
    if found.comparison is not None:
        session.print_line(f"\n{views.compared(found.comparison)}")
    session.print_line(f"\non the bus {place(settings)}")


async def _standing(settings: Settings) -> _Standing:
    tenant = settings.tenant
    async with opened(settings) as (registry, _):
        state = await registry.state(tenant)
        froze = freezing(await registry.bucket.changes(tenant)) if state.frozen else None
        return _Standing(state, await registry.listed(tenant), froze, await registry.bucket.comparison(tenant))
