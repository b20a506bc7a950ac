"""Looks after every tenant's policies: experiments widen, promote or go back by themselves. Run by the evolution role.

The only one who promotes without a person. Any number of these loops may run: writes compare and set, and a decision
is a function of the stored tallies.
"""

import asyncio
import logging
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta

from evolution.errors import EvolutionError, ReviewNeeded
from evolution.experiments.deciding import Action, Design
from evolution.policies.changes import Who
from evolution.policies.prior import PriorWatch
from evolution.policies.registry import PolicyRegistry
from evolution.policies.trial import Progress, progress
from evolution.policies.trial_memory import TrialMemory
from evolution.policies.trial_recent import Recent
from evolution.ports import ExperienceStore
from schemas.policy_state import PolicyState

logger = logging.getLogger(__name__)

ACTOR = "aos-evolution"
DESIGN = Design("", control="", treatment="")


@dataclass(frozen=True, slots=True)
class LoopTimes:
    """How often it looks. The prior is seldom asked: it reads a week of experience."""

    look_every_s: float = 30.0
    prior_every: timedelta = field(default=timedelta(hours=24))


class PolicyLoop:
    """One step for every tenant, again and again, until told to stop. Failures are logged and tried again."""

    def __init__(
        self,
        registry: PolicyRegistry,
        store: ExperienceStore,
        *,
        design: Design = DESIGN,
        times: LoopTimes | None = None,
        memory: TrialMemory | None = None,
    ) -> None:
        self._registry = registry
        self._store = store
        self._design = design
        self._times = times or LoopTimes()
        self._memory = memory
        self._recent = Recent()
        self._prior = PriorWatch(registry, store, self._times.prior_every)

    async def run(self, stop: asyncio.Event) -> None:
        """Until ``stop`` is set."""
        while not stop.is_set():
            await self.look()
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), self._times.look_every_s)

    async def look(self) -> Mapping[str, str]:
        """One step for every tenant: what was done, in words, by tenant. Never raises EvolutionError."""
        done: dict[str, str] = {}
        try:
            for tenant in await self._registry.bucket.tenants():
                done[tenant] = await self._look_at(tenant)
        except EvolutionError as error:
            logger.warning("policies cannot be looked after now: %s", error)
        return {tenant: what for tenant, what in done.items() if what}

    async def _look_at(self, tenant: str) -> str:
        try:
            state = await self._registry.state(tenant)
            # One thing at a time: the next look sees the state that this one made.
            return await self._experiment(state) or await self._prior.look(state, ACTOR)
        except ReviewNeeded as review:
            return str(review)
        except EvolutionError as error:
            logger.warning("policies of tenant %s: %s", tenant, error)
            return ""

    async def _experiment(self, state: PolicyState) -> str:
        if state.frozen or state.experiment is None or not state.experiment.automatic:
            return ""
        found = await self.standing(state)
        if found is None or not _asks_for_something(state, found):
            return ""
        logger.info("experiment %s of %s: %s", state.experiment.name, state.tenant, found.verdict.reason)
        await self._carry_out(state, found)
        return f"{found.verdict.action.value}: {found.verdict.reason}"

    async def standing(self, state: PolicyState) -> Progress | None:
        """How the tenant's experiment stands now; None without one. Raises ExperienceStoreUnavailable."""
        changes = await self._registry.bucket.changes(state.tenant)
        # Size is judged by the guards of the promotion itself, on recent decisions: here it stays out of the test.
        return await progress(self._store, state, changes, self._design, memory=self._memory, recent=self._recent)

    async def _carry_out(self, state: PolicyState, found: Progress) -> None:
        tenant, verdict = state.tenant, found.verdict
        who = Who(ACTOR, f"experiment {found.experiment.name}: {verdict.reason}")
        if verdict.action is Action.WIDEN:
            await self._registry.widen_experiment(tenant, found.experiment, verdict.treatment_share, who)
        elif verdict.action is Action.PROMOTE:
            await self._registry.promote(tenant, found.experiment.candidate, who, automatic=True)
        elif verdict.action is Action.ROLL_BACK:
            await self._registry.stop_experiment(tenant, who, found.experiment)


def _asks_for_something(state: PolicyState, found: Progress) -> bool:
    """Whether the verdict changes anything; a candidate that waits for a person is not promoted over their head."""
    verdict = found.verdict
    if verdict.action is Action.WIDEN:
        return verdict.treatment_share > found.experiment.share
    if verdict.action is Action.PROMOTE:
        return found.experiment.candidate not in state.awaiting_review
    return verdict.action is Action.ROLL_BACK
