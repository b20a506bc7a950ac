"""Who may be chosen at all, and why the others may not. Pure; called by the matcher."""

from schemas.card import AgentCard, Liveness
from schemas.parts import Modality
from schemas.task import RoutingHints


def why_not(
    card: AgentCard | None, liveness: Liveness, modalities: frozenset[Modality] | None, hints: RoutingHints
) -> str | None:
    """The first reason not to choose the agent, None when there is none.

    ``card`` is None when the tenant has no such agent. ``modalities`` are the task's, None when there is no task.
    """
    if card is None:
        return "is not registered for this tenant"
    if card.id in hints.exclude:
        return "the task excludes it"
    missing = [tag for tag in hints.required_capabilities if tag not in card.tags]
    if missing:
        return f"lacks the required capability {_listed(missing)}"
    if liveness is Liveness.DEAD:
        return "is dead: no sign of life within the heartbeat time"
    absent = [] if modalities is None else [m.value for m in card.requires_modalities if m not in modalities]
    if absent:
        return f"needs {_listed(absent)}, which the task does not carry"
    return None


def _listed(names: list[str]) -> str:
    return ", ".join(repr(name) for name in names)
