"""The policies that a person names on the command line: built-in ones, fixed agents, any version. Called by replay."""

from collections.abc import Iterable, Mapping
from datetime import datetime

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
    for label, asked in (await labels(registry, tenant, names)).items():
        name = asked[0]
        if name in SIMPLE:
            found[label] = SIMPLE[name]
        elif name.startswith(ALWAYS):
            found[label] = always(name.removeprefix(ALWAYS))
        else:
            version = label.partition(" ")[0]
            if registry is None or version == BUILT_IN:
                found[label] = await WorkerChoices()(None)
            else:
                found[label] = await registry.policy(tenant, version)
    return found


async def labels(registry: PolicyRegistry | None, tenant: str, names: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """The names by what is shown for them, as asked: a version is shown once, with all the roles it was asked by.

    Without a registry, names that need one are left out.
    """
    versions: dict[str, list[str]] = {}
    for name in dict.fromkeys(names):
        if not needs_registry([name]):
            versions.setdefault(BUILT_IN if name == "cosine" else name, []).append(name)
        elif registry is not None:
            versions.setdefault(await _version(registry, tenant, name), []).append(name)
    return {_label(version, asked): tuple(asked) for version, asked in versions.items()}


def _label(version: str, asked: Iterable[str]) -> str:
    roles = ", ".join(name for name in asked if name in (ACTIVE, REFERENCE))
    return f"{version} ({roles})" if roles else version


async def seen_before(
    registry: PolicyRegistry, tenant: str, names: Iterable[str], since: datetime, until: datetime | None = None
) -> list[str]:
    """Which of the named versions learned from experience between ``since`` and ``until``, in words."""
    warnings = []
    for name in names:
        if not needs_registry([name]):
            continue
        snapshot = await registry.snapshot(tenant, await _version(registry, tenant, name))
        lineage = snapshot.lineage if snapshot else None
        if snapshot is None or lineage is None or lineage.until is None:
            continue
        if lineage.until > since and (until is None or lineage.since is None or lineage.since < until):
            warnings.append(
                f"{snapshot.policy} learned from experience up to {lineage.until:%Y-%m-%d %H:%M}, part of this "
                "window: its weights have seen it. An experiment judges it better"
            )
    return warnings


async def _version(registry: PolicyRegistry, tenant: str, name: str) -> str:
    state = await registry.state(tenant)
    return {ACTIVE: active_name(state), REFERENCE: reference_name(state)}.get(name, name)


def needs_registry(names: Iterable[str]) -> bool:
    """Whether any of them is a version on the bus."""
    known = {*SIMPLE, BUILT_IN, "cosine"}
    return any(name not in known and not name.startswith(ALWAYS) for name in names)
