"""The policies that a person names on the command line: built-in ones, fixed agents, any version. Called by replay."""

from collections.abc import Iterable, Mapping

from evolution.policies.bucket import BUILT_IN
from evolution.policies.changes import active_name, reference_name
from evolution.policies.registry import PolicyRegistry
from evolution.replay.decision_log import Policy
from evolution.replay.policies import always, as_logged, best_scored, uniform
from gateway.replay.choices import WorkerChoices

LOGGED, UNIFORM, BEST_SCORED, ALWAYS = "logged", "uniform", "best-scored", "always:"
ACTIVE, REFERENCE = "active", "reference"
SIMPLE: Mapping[str, Policy] = {LOGGED: as_logged, UNIFORM: uniform, BEST_SCORED: best_scored}


async def named(registry: PolicyRegistry | None, tenant: str, names: Iterable[str]) -> dict[str, Policy]:
    """How each of them chooses, by the name to show. Raises PolicyNotFound, PolicyDamaged.

    Without a registry (no bus in reach) only those are known that need none.
    """
    found: dict[str, Policy] = {}
    for name in names:
        if name in SIMPLE:
            found[name] = SIMPLE[name]
        elif name.startswith(ALWAYS):
            found[name] = always(name.removeprefix(ALWAYS))
        elif name in (BUILT_IN, "cosine"):
            found[BUILT_IN] = await WorkerChoices()(None)
        elif registry is not None:
            state = await registry.state(tenant)
            version = {ACTIVE: active_name(state), REFERENCE: reference_name(state)}.get(name, name)
            found[version if version == name else f"{version} ({name})"] = await registry.policy(tenant, version)
    return found


def needs_registry(names: Iterable[str]) -> bool:
    """Whether any of them is a version on the bus."""
    known = {*SIMPLE, BUILT_IN, "cosine"}
    return any(name not in known and not name.startswith(ALWAYS) for name in names)
