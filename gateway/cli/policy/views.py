"""Policies as rows and lines for people, and as JSON. Called by the commands about policies."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from evolution.policies.changes import active_name
from evolution.policies.telling import last_trial
from gateway.cli.terminal import session
from schemas.policy import PolicySnapshot
from schemas.policy_state import PolicyState, PriorComparison

if TYPE_CHECKING:
    from evolution.policies.registry import Listed


def listed_json(item: "Listed") -> dict[str, Any]:
    """One version for scripts; what is known of each agent is in `show` only."""
    snapshot = item.snapshot.model_dump(mode="json", exclude={"standings"}) if item.snapshot else None
    return {"policy": item.name, "roles": item.roles, "damaged": item.damaged, "snapshot": snapshot}


def row(item: "Listed") -> tuple[object, ...]:
    """One line of the list."""
    if item.snapshot is None:
        note = "DAMAGED: " + item.damaged if item.damaged else "learned nothing: the nearest skill"
        return (item.name, ", ".join(item.roles), "", "", "", note)
    snapshot, lineage = item.snapshot, item.snapshot.lineage
    metrics = " ".join(f"{name} {value:.3g}" for name, value in (lineage.metrics if lineage else {}).items())
    records = lineage.records if lineage else snapshot.events
    return (item.name, ", ".join(item.roles), snapshot.parent, f"{snapshot.at:%Y-%m-%d %H:%M}", records, metrics)


def show(snapshot: PolicySnapshot) -> None:
    """One version for people."""
    lineage = snapshot.lineage
    session.print_line(f"{snapshot.policy}, made {snapshot.at:%Y-%m-%d %H:%M:%S} from {snapshot.events} outcomes")
    session.print_line(f"  parent   {snapshot.parent or 'none'}\n  encoder  {snapshot.encoder}")
    session.print_line(f"  trust    {snapshot.trust:.0%} (how far an answer that nobody judged proves its agent right)")
    if lineage is not None:
        since, until = (f"{one:%Y-%m-%d %H:%M}" if one else "?" for one in (lineage.since, lineage.until))
        session.print_line(f"  window   {since} to {until}, {lineage.records} records; code {lineage.code or '?'}")
        for name, value in lineage.metrics.items():
            session.print_line(f"  metric   {name} {value:.4g}")
    session.print_table(("weight", "value"), [(n, f"{v:.4g}") for n, v in snapshot.weights.items()], "no weights")
    rows = [(agent, f"{one.successes:.0f}", f"{one.failures:.0f}") for agent, one in snapshot.standings.items()]
    session.print_table(("agent", "succeeded", "failed"), rows, "nothing known of any agent")
    for name, digest in snapshot.artefacts.items():
        session.print_line(f"  artefact {name}: {digest}")


def frozen_by(froze: PolicyState) -> str:
    """Who froze, when and why."""
    why = froze.reason or "no reason given"
    return f"frozen by {froze.actor or 'somebody'} at {froze.changed_at:%Y-%m-%d %H:%M}: {why}"


def compared(found: PriorComparison) -> str:
    """How a policy in force did beside having learned nothing."""
    outcome = f"; {found.prior} was put in force again" if found.reset else ""
    when = f"compared at {found.at:%Y-%m-%d %H:%M:%S} on {found.records} recent tasks"
    return f"{when}: {found.policy} {found.says}{outcome}"


def ended(changes: Sequence[PolicyState]) -> str:
    """How the last experiment ended, of states oldest first; empty where there was none."""
    last = last_trial(changes)
    if last is None:
        return ""
    trial, state = last
    by, why = state.actor or "somebody", state.reason or "no reason given"
    return (
        f"{trial.name} was ended by {by} at {state.changed_at:%Y-%m-%d %H:%M:%S}, {active_name(state)} in force: {why}"
    )


def numbers(pair: tuple[float | None, float | None]) -> tuple[str, str]:
    """Two cells of a comparison."""
    before, after = ("—" if value is None else f"{value:.4g}" for value in pair)
    return before, after
