"""Old versions make room, in the bucket and in the object store. Called by `aos policy prune` and the evolution role.

A version stays when the tenant's state names it, when it was in force, on trial or the reference within the retention,
or when it is one of the newest; so does whatever the learner did not make, unless told otherwise. Its parts go with the
last version, of any tenant, that names them.
"""

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from evolution.errors import PolicyDamaged, PolicyNotFound
from evolution.policies.bucket import PolicyBucket
from evolution.policies.changes import active_name, needed, reference_name
from schemas.base import now
from schemas.policy import PolicySnapshot
from schemas.policy_state import PolicyState

logger = logging.getLogger(__name__)

LEARNED = "learned-"
"""How the learner's versions are called; the rest of the name is the time, so that their names sort by age."""


class Parts(Protocol):
    """Contents by digest, where versions keep what is too large for their file. Raises PolicyPartsUnavailable."""

    async def set_aside(self, digest: str) -> int | None:
        """Out of everybody's sight; its size in bytes, None when it is not there."""
        ...

    async def put_back(self, digest: str) -> None:
        """Where it was."""
        ...

    async def drop(self, digest: str) -> None:
        """Remove what was set aside, for good."""
        ...


@dataclass(frozen=True, slots=True)
class Keeping:
    """How much is kept: the ``newest`` so many versions of the learner, and those promoted ``within`` that time.

    ``everything``: what people put in is judged like the learner's own.
    """

    newest: int = 20
    within: timedelta = timedelta(days=30)
    everything: bool = False


@dataclass(frozen=True, slots=True)
class Pruned:
    """What became of a tenant's versions: those gone, and why each of the others stays.

    So many ``parts`` left the object store. ``unread`` are damaged versions, whose parts nobody knows: while there are
    any, of whichever tenant, no parts are removed.
    """

    tenant: str
    gone: tuple[str, ...] = ()
    kept: Mapping[str, str] = field(default_factory=dict)
    parts: int = 0
    freed_bytes: int = 0
    unread: tuple[str, ...] = ()


async def prune(bucket: PolicyBucket, parts: Parts, tenant: str, keeping: Keeping, *, dry_run: bool = False) -> Pruned:
    """Take out what nobody needs any more; with ``dry_run`` only say what that is.

    Raises PolicyBucketUnavailable, PolicyPartsUnavailable; repeated, it goes on where it ended, but parts of versions
    that went before stay behind.
    """
    state = (await bucket.state(tenant)).state
    names = await bucket.names(tenant)
    kept = reasons(state, await bucket.changes(tenant), names, keeping, now())
    gone = tuple(name for name in names if name not in kept)
    snapshots, unread = await _read(bucket)
    orphans = _digests(snapshots, lambda key: key[0] == tenant and key[1] in gone)
    orphans -= _digests(snapshots, lambda key: key[0] != tenant or key[1] not in gone)
    if unread:
        orphans = set()
    if dry_run:
        return Pruned(tenant, gone, kept, len(orphans), 0, unread)
    for name in gone:
        await bucket.forget(tenant, name)
    removed, freed_bytes = await _remove(bucket, parts, orphans)
    if gone:
        logger.info("tenant %s: %d old policies are gone, and %d parts of theirs", tenant, len(gone), removed)
    return Pruned(tenant, gone, kept, removed, freed_bytes, unread)


def reasons(
    state: PolicyState, changes: Sequence[PolicyState], names: Collection[str], keeping: Keeping, moment: datetime
) -> dict[str, str]:
    """Why each version that stays does; those that are not there may go. ``changes`` are the states, oldest first."""
    found: dict[str, str] = {}
    learned = sorted(name for name in names if name.startswith(LEARNED) or keeping.everything)
    for name in learned[len(learned) - keeping.newest :] if keeping.newest else []:
        found[name] = f"one of the newest {keeping.newest}"
    for name in _promoted(changes, moment - keeping.within):
        found[name] = f"in force, on trial or the reference within {keeping.within.days} days"
    for name in needed(state):
        found[name] = "the state names it"
    for name in names:
        if not (name.startswith(LEARNED) or keeping.everything):
            found.setdefault(name, "not the learner's own")
    return {name: why for name, why in sorted(found.items()) if name in names}


def _promoted(changes: Sequence[PolicyState], since: datetime) -> set[str]:
    """Who was something at any time since then: a state holds until the next one."""
    ends = [*(state.changed_at for state in changes[1:]), None] if changes else []
    found: set[str] = set()
    for state, end in zip(changes, ends, strict=True):
        if end is None or end >= since:
            trial = {state.experiment.candidate} if state.experiment is not None else set()
            found |= {active_name(state), reference_name(state)} | trial
    return found


Key = tuple[str, str]
"""Tenant and version."""
Wanted = Callable[[Key], bool]


async def _read(bucket: PolicyBucket) -> tuple[dict[Key, PolicySnapshot], tuple[str, ...]]:
    """Every version of every tenant, and the names of those that cannot be read."""
    found: dict[Key, PolicySnapshot] = {}
    unread = []
    for tenant, name in await bucket.everything():
        try:
            found[tenant, name] = await bucket.version(tenant, name)
        except PolicyNotFound:
            continue  # taken out meanwhile
        except PolicyDamaged:
            unread.append(f"{tenant}: {name}")
    return found, tuple(unread)


def _digests(snapshots: Mapping[Key, PolicySnapshot], wanted: Wanted) -> set[str]:
    return {digest for key, snapshot in snapshots.items() if wanted(key) for digest in snapshot.artefacts.values()}


async def _remove(bucket: PolicyBucket, parts: Parts, orphans: Collection[str]) -> tuple[int, int]:
    """How many parts are gone, and their bytes. One that a version published meanwhile names is put back."""
    aside = {digest: size for digest in sorted(orphans) if (size := await parts.set_aside(digest)) is not None}
    if aside:
        snapshots, _ = await _read(bucket)
        for digest in _digests(snapshots, lambda _: True) & aside.keys():
            await parts.put_back(digest)
            del aside[digest]
    for digest in aside:
        await parts.drop(digest)
    return len(aside), sum(aside.values())
