"""Now and then the policy in force is compared with having learned nothing, and goes when it lost. Called by ``loop``.

What was found is kept beside the policies: so people see it, a restart does not repeat it, and of several loops one
compares. It is measured on logged decisions, whether an experiment runs or not.
"""

import asyncio
import logging
from datetime import timedelta

from evolution.judging import rewards
from evolution.policies.bucket import BUILT_IN
from evolution.policies.changes import Who, active_name
from evolution.policies.guards import Finding, GuardLimits, beside
from evolution.policies.registry import WINDOW, PolicyRegistry
from evolution.ports import ExperienceQuery, ExperienceStore
from evolution.replay.comparing import remembered
from evolution.replay.decision_log import Decisions, Policy, decisions
from evolution.replay.evaluating import slim
from schemas.base import now
from schemas.policy_state import PolicyState, PriorComparison

logger = logging.getLogger(__name__)

MOST_RECORDS = 10_000
"""Five times what the guards of a promotion read: nobody waits for this, and the prior's choices are few in the log of
a policy that makes other ones."""


class PriorWatch:
    """The comparison with the prior, for any tenant. It is seldom made: it reads a week of experience."""

    def __init__(self, registry: PolicyRegistry, store: ExperienceStore, every: timedelta) -> None:
        self._registry = registry
        self._store = store
        self._every = every

    async def look(self, state: PolicyState, actor: str) -> str:
        """Compare if it is time; why the prior was put in force, in words, else nothing. Raises EvolutionError."""
        tenant, active = state.tenant, active_name(state)
        if active == BUILT_IN or state.frozen or not await self._is_due(tenant):
            return ""
        found, reason = await self._compared(tenant, active), ""
        logger.info("%s: %s %s", tenant, active, found.says)
        if found.reset:
            reason = f"reset to the prior: {active} {found.says}"
            logger.warning("%s: %s", tenant, reason)
            await self._registry.reset(tenant, active, Who(actor, reason))
        # Only now: what could not be reset is compared again at the next look.
        await self._registry.bucket.note(found)
        return reason

    async def _is_due(self, tenant: str) -> bool:
        before = await self._registry.bucket.comparison(tenant)
        return before is None or now() - before.at >= self._every

    async def _compared(self, tenant: str, active: str) -> PriorComparison:
        policy, prior = await self._registry.policy(tenant, active), await self._registry.policy(tenant, BUILT_IN)
        query = ExperienceQuery(tenant=tenant, since=now() - WINDOW, limit=MOST_RECORDS)
        records = [slim(record) for record in await self._store.find(query)]
        reward = await rewards(self._store, records)
        # Seconds of CPU for a full window: off the event loop.
        found = await asyncio.to_thread(lambda: beside_prior(decisions(records, reward), policy, prior))
        return PriorComparison(
            tenant=tenant,
            policy=active,
            prior=BUILT_IN,
            records=len(records),
            gain=found.value,
            says=found.says,
            reset=not found.ok,
        )


def beside_prior(taken: Decisions, policy: Policy, prior: Policy) -> Finding:
    """The policy beside the prior on the same decisions; not ok only where the loss is certain."""
    name = f"beside {BUILT_IN}"
    findings = beside(taken, remembered(policy), {BUILT_IN: prior}, GuardLimits())
    return next(finding for finding in findings if finding.guard == name)
