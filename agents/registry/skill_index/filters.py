"""What a filter comes down to, for either engine, and what no filter may ask for. Called by both index adapters."""

import math
from dataclasses import dataclass

from agents.errors import FilterContradiction
from agents.ports.skill_index import IndexFilter
from agents.registry.skill_index.points import DEAD
from schemas.parts import Modality


@dataclass(frozen=True, slots=True)
class Terms:
    """The filter as an engine takes it: each of ``equal``, one of each of ``one_of``, none of ``none_of``."""

    equal: tuple[tuple[str, str], ...]
    one_of: tuple[tuple[str, tuple[str, ...]], ...]
    none_of: tuple[tuple[str, tuple[str, ...]], ...]
    cost_max: float | None


def terms_of(where: IndexFilter) -> Terms:
    """Raises FilterContradiction."""
    refuse_contradictions(where)
    one_of = [("skill", where.skills), ("inputs", where.inputs)]
    none_of = [("agent", where.without_agents), ("tags", where.without_tags)]
    if where.agents is not None:
        one_of.append(("agent", where.agents))
    if where.carried is not None:
        none_of.append(("needs", frozenset(Modality) - where.carried))
    if where.alive_only:
        none_of.append(("health", frozenset({DEAD})))
    return Terms(
        equal=(("tenant", where.tenant), *(("tags", tag) for tag in sorted(where.tags))),
        one_of=tuple((field, tuple(sorted(values))) for field, values in one_of if values),
        none_of=tuple((field, tuple(sorted(values))) for field, values in none_of if values),
        cost_max=where.cost_max,
    )


def refuse_contradictions(where: IndexFilter) -> None:
    """Raises FilterContradiction, which names what excludes what."""
    if not where.tenant:
        raise FilterContradiction("a search without a tenant would see every tenant's agents; name one")
    if where.agents and where.agents <= where.without_agents:
        raise FilterContradiction(f"every agent asked for is excluded too: {_listed(where.agents)}")
    if both := where.tags & where.without_tags:
        raise FilterContradiction(f"tags are both required and excluded: {_listed(both)}")
    if where.cost_max is not None and not 0.0 <= where.cost_max < math.inf:
        raise FilterContradiction(f"no agent costs at most {where.cost_max}; give 0 or more, or no limit")


def _listed(names: frozenset[str]) -> str:
    first = ", ".join(repr(name) for name in sorted(names)[:5])
    return first if len(names) <= 5 else f"{first} and {len(names) - 5} more"
