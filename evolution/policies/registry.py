"""Lists, promotes, rolls back and freezes policies. Called by `aos policy`, `aos experiment` and the policy loop."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from evolution.errors import (
    ChangedMeanwhile,
    EvolutionError,
    ExperienceStoreUnavailable,
    PolicyDamaged,
    PolicyNotFound,
    PolicyRefused,
    ReviewNeeded,
)
from evolution.judging import rewards
from evolution.policies import changes
from evolution.policies.bucket import BUILT_IN, HeldState, PolicyBucket
from evolution.policies.changes import Who, active_name, reference_name
from evolution.policies.diff import PolicyDiff, diff
from evolution.policies.guards import Finding, GuardLimits, beside, change_size, known_agents, window_findings
from evolution.policies.telling import roles_of
from evolution.ports import ExperienceQuery, ExperienceStore
from evolution.replay.comparing import changed_choices, remembered
from evolution.replay.decision_log import Policy, decisions
from evolution.replay.evaluating import slim
from schemas.base import now
from schemas.experience import ExperienceRecord
from schemas.policy import PolicySnapshot
from schemas.policy_state import PolicyExperiment, PolicyState, Preference

logger = logging.getLogger(__name__)

WINDOW = timedelta(days=7)
MOST_RECORDS = 2_000

Choices = Callable[[PolicySnapshot | None], Awaitable[Policy]]
"""Loads how a version chooses among a record's candidates; None is the built-in one. Given by the composition root."""


@dataclass(frozen=True, slots=True)
class Listed:
    """One version as lists show it; ``damaged`` says why it cannot be read, and then there is no snapshot."""

    name: str
    snapshot: PolicySnapshot | None
    roles: tuple[str, ...]
    damaged: str = ""


@dataclass(frozen=True, slots=True)
class Review:
    """What is known of a promotion before it is done."""

    policy: str
    instead_of: str
    findings: tuple[Finding, ...]
    records: int

    @property
    def problems(self) -> tuple[str, ...]:
        """What a person has to look at."""
        return tuple(finding.says for finding in self.findings if not finding.ok)


class PolicyRegistry:
    """A tenant's policies. Every change is compare-and-set and keeps who made it; raises PolicyError and its kin."""

    def __init__(
        self, bucket: PolicyBucket, store: ExperienceStore, choices: Choices, limits: GuardLimits | None = None
    ) -> None:
        self._bucket = bucket
        self._store = store
        self._choices = choices
        self._limits = limits or GuardLimits()

    @property
    def bucket(self) -> PolicyBucket:
        """Where versions and states lie."""
        return self._bucket

    async def listed(self, tenant: str) -> tuple[Listed, ...]:
        """The built-in policy, then every version, the oldest first."""
        state = (await self._bucket.state(tenant)).state
        found = []
        for name in await self._bucket.names(tenant):
            try:
                found.append(Listed(name, await self._bucket.version(tenant, name), roles_of(state, name)))
            except PolicyNotFound:
                continue  # deleted by hand: its marker is still in the bucket
            except PolicyDamaged as error:
                found.append(Listed(name, None, roles_of(state, name), str(error)))
        found.sort(key=lambda item: (item.snapshot.at.timestamp() if item.snapshot else 0.0, item.name))
        return (Listed(BUILT_IN, None, roles_of(state, BUILT_IN)), *found)

    async def state(self, tenant: str) -> PolicyState:
        """What applies now."""
        return (await self._bucket.state(tenant)).state

    async def snapshot(self, tenant: str, policy: str) -> PolicySnapshot | None:
        """A version; None for the built-in one. Raises PolicyNotFound, PolicyDamaged."""
        return None if policy == BUILT_IN else await self._bucket.version(tenant, policy)

    async def policy(self, tenant: str, policy: str) -> Policy:
        """How that policy chooses. Raises PolicyNotFound, PolicyDamaged."""
        return await self._choices(await self.snapshot(tenant, policy))

    async def diff(self, tenant: str, before: str, after: str) -> PolicyDiff:
        """What ``after`` says and does differently."""
        one, other = await self.snapshot(tenant, before), await self.snapshot(tenant, after)
        records = await self._recent(tenant)
        changed = changed_choices(records, await self._choices(other), await self._choices(one))
        encoder = next((each.encoder for each in (one, other) if each), "none")
        return diff(one or _built_in(encoder), other or _built_in(encoder), changed)

    async def review(self, tenant: str, policy: str) -> Review:
        """What the guards say to putting the policy in force now."""
        return await self._review(policy, (await self._bucket.state(tenant)).state)

    async def promote(
        self, tenant: str, policy: str, who: Who, *, reviewed: bool = False, automatic: bool = False
    ) -> PolicyState:
        """Put a policy in force. Raises ReviewNeeded unless the guards are content or a person has ``reviewed``.

        An ``automatic`` promotion that needs a review leaves the policy on the list of those awaiting one.
        """
        held = await self._bucket.state(tenant)
        changes.check_promotable(held.state, policy)
        review = await self._review(policy, held.state)
        if review.problems and not reviewed:
            if automatic:
                await self._write(held, changes.awaiting(held.state, policy, who))
            listed = "; ".join(review.problems)
            raise ReviewNeeded(f"{policy} waits for a person: {listed}", review.problems)
        return await self._write(held, changes.promoted(held.state, policy, who))

    async def rollback(self, tenant: str, who: Who) -> PolicyState:
        """Back to the policy before. Raises PolicyRefused when there is none."""
        held = await self._bucket.state(tenant)
        return await self._write(held, changes.rolled_back(held.state, who))

    async def reset(self, tenant: str, lost: str, who: Who) -> PolicyState:
        """Put the prior in force instead of the policy that ``lost``. Raises ChangedMeanwhile, PoliciesFrozen."""
        held = await self._bucket.state(tenant)
        return await self._write(held, changes.reset(held.state, lost, who))

    async def freeze(self, tenant: str, who: Who, *, frozen: bool = True) -> PolicyState:
        """Forbid promotions, or allow them again."""
        held = await self._bucket.state(tenant)
        return await self._write(held, changes.frozen(held.state, who, frozen=frozen))

    async def refer(self, tenant: str, policy: str, who: Who) -> PolicyState:
        """Make that policy the frozen reference."""
        held = await self._bucket.state(tenant)
        await self.snapshot(tenant, policy)
        return await self._write(held, changes.referring(held.state, policy, who))

    async def explore(self, tenant: str, share: float, who: Who) -> PolicyState:
        """Set how much is explored; there is a floor."""
        held = await self._bucket.state(tenant)
        return await self._write(held, changes.exploring(held.state, share, who))

    async def prefer(
        self, tenant: str, who: Who, preference: Preference | None, threshold: float | None
    ) -> PolicyState:
        """Set what evolved networks put first, and the promised chance of success below which tasks are refused."""
        held = await self._bucket.state(tenant)
        return await self._write(held, changes.preferring(held.state, preference, threshold, who))

    async def start_experiment(self, tenant: str, experiment: PolicyExperiment, who: Who) -> PolicyState:
        """Let the candidate share traffic. Raises PolicyNotFound, ExperimentRunning, PoliciesFrozen."""
        held = await self._bucket.state(tenant)
        await self.snapshot(tenant, experiment.candidate)
        if not 0.0 < experiment.share < 1.0:
            raise PolicyRefused(f"a share of {experiment.share:g} compares nothing: it must lie between 0 and 1")
        return await self._write(held, changes.started(held.state, experiment, who))

    async def stop_experiment(self, tenant: str, who: Who, only: PolicyExperiment | None = None) -> PolicyState:
        """All traffic back to the active policy. Raises NoExperiment, ChangedMeanwhile when it is not ``only``."""
        held = await self._bucket.state(tenant)
        _still(held.state, only)
        return await self._write(held, changes.stopped(held.state, who))

    async def widen_experiment(self, tenant: str, only: PolicyExperiment, share: float, who: Who) -> PolicyState:
        """The canary's next step. Raises NoExperiment, ChangedMeanwhile when another experiment is running."""
        held = await self._bucket.state(tenant)
        _still(held.state, only)
        return await self._write(held, changes.widened(held.state, share, who))

    async def _review(self, policy: str, state: PolicyState) -> Review:
        tenant, before = state.tenant, active_name(state)
        snapshot = await self.snapshot(tenant, policy)
        candidate = remembered(await self._choices(snapshot))
        known = {policy: candidate}  # the one in force may be the very policy: it is asked once
        for name in (before, *_measured_beside(state, policy)):
            if name not in known:
                known[name] = remembered(await self._policy_or_built_in(tenant, name))
        others = {name: known[name] for name in _measured_beside(state, policy)}
        records, lineage = await self._recent(tenant), snapshot.lineage if snapshot else None
        reward = await rewards(self._store, records)
        training = await self._window(tenant, lineage.since, lineage.until) if lineage and lineage.records else None

        def findings() -> tuple[Finding, ...]:
            size = change_size(records, known[before], candidate, self._limits)
            window = () if training is None else window_findings(training, self._limits)
            agents = known_agents(records, snapshot.standings if snapshot else ())
            return (size, *agents, *window, *beside(decisions(records, reward), candidate, others, self._limits))

        # Seconds of CPU for a full window: off the event loop.
        return Review(policy, before, await asyncio.to_thread(findings), len(records))

    async def _policy_or_built_in(self, tenant: str, policy: str) -> Policy:
        """A damaged or lost version must not stop the change that replaces it; workers fall back likewise."""
        try:
            return await self.policy(tenant, policy)
        except EvolutionError:
            return await self._choices(None)

    async def _recent(self, tenant: str) -> list[ExperienceRecord]:
        return await self._window(tenant, now() - WINDOW, None)

    async def _window(self, tenant: str, since: datetime | None, until: datetime | None) -> list[ExperienceRecord]:
        """Experience that cannot be read is experience that there is none of: the guards then ask a person."""
        query = ExperienceQuery(tenant=tenant, since=since, until=until, limit=MOST_RECORDS)
        try:
            return [slim(record) for record in await self._store.find(query)]
        except ExperienceStoreUnavailable as error:
            logger.warning("the guards cannot read experience: %s", error)
            return []

    async def _write(self, held: HeldState, state: PolicyState) -> PolicyState:
        return held.state if state is held.state else (await self._bucket.write(held, state)).state


def _still(state: PolicyState, only: PolicyExperiment | None) -> None:
    if only is not None and changes.running(state) != only:
        raise ChangedMeanwhile(f"experiment {only.name} was changed by somebody else meanwhile: look again")


def _measured_beside(state: PolicyState, policy: str) -> tuple[str, ...]:
    """The one in force, the frozen reference and the prior, each once; never the policy itself."""
    return tuple(
        name for name in dict.fromkeys((active_name(state), reference_name(state), BUILT_IN)) if name != policy
    )


def _built_in(encoder: str) -> PolicySnapshot:
    return PolicySnapshot(policy=BUILT_IN, encoder=encoder, events=0, weights={})
