"""Keeps a worker's policies current: follows the bucket of policies, and hears outcomes between two versions.

Started by the wiring; asked by the matcher. Versions are read and built off the event loop and take effect at once,
whole. One that cannot be used (cut off, too new, of another encoder, of agents that are all gone) leaves the last
good one in place, and is said in the log and by explain. Between versions every outcome that any worker publishes
(see ``outcome_feed``) counts within a second, so that routing follows an agent that changes before the learner does.
"""

import asyncio
import logging
import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from itertools import takewhile

from nats.js import JetStreamContext
from pydantic import ValidationError

from agents.background_tasks import begun, ended
from agents.errors import BusUnavailable
from agents.matching.live.in_force import in_use, policy_for
from agents.matching.live.lessons import lessons_of
from agents.matching.live.loading import Loader
from agents.matching.live.policy import LivePolicy, Outcome
from agents.matching.live.ranker import LearnedOrder
from agents.matching.live.turns import ROOM_BYTES, Turns
from agents.ports.matching import Lot
from agents.registry.kv_feed import KvEntry, follow
from schemas import subjects
from schemas.assignment import position
from schemas.card import AgentCard
from schemas.experience import ExperienceRecord
from schemas.policy import PolicyUnreadable
from schemas.policy_state import PolicyState
from tensor_layer.ports import Blobs, Vector

logger = logging.getLogger(__name__)

RECENT_OUTCOMES = 2_048
NEWS_EVERY_S = 0.5
"""So often what was learned makes remembered matches and plans outdated: each costs some milliseconds to make anew."""
RETRY_S = 5.0

Cards = Callable[[str], Mapping[str, AgentCard]]
Encode = Callable[[Sequence[str]], Awaitable[Vector]]


class PolicyFeed:
    """ports.Policies for every tenant. For one event loop. ``encoder`` is the version that ``encode`` encodes with."""

    def __init__(
        self,
        js: JetStreamContext,
        blobs: Blobs,
        cards: Cards,
        encode: Encode,
        encoder: str,
        news_every_s: float = NEWS_EVERY_S,
        room_bytes: int = ROOM_BYTES,
    ) -> None:
        self._js = js
        self._cards = cards
        self._encode = encode
        self._encoder = encoder
        self._loader = Loader(js, blobs, encoder)
        self._states: dict[str, PolicyState] = {}
        self._orders: dict[tuple[str, str], LearnedOrder] = {}
        self._turns = Turns(room_bytes)
        self._in_force: dict[str, str] = {}
        self._problems: dict[tuple[str, str], str] = {}
        self._recent: dict[str, deque[Outcome]] = {}
        self._editions: Counter[str] = Counter()
        self._news_every_s = news_every_s
        self._news: set[str] = set()
        self._news_at: dict[str, float] = {}
        self._dimension = 0
        self._wanted = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def problems(self) -> dict[tuple[str, str], str]:
        """Why policies that should be in force are not, by tenant and policy."""
        return dict(self._problems)

    async def start(self) -> None:
        """Follow the bucket. Tasks that come before a policy is loaded are routed by similarity."""
        self._dimension = (await self._encode(["dimension"])).shape[1]
        self._tasks = begun((self._follow, self._load_wanted), "policies")

    async def stop(self) -> None:
        """Stop following."""
        await ended(*self._tasks)
        self._tasks = []

    def lot(self, tenant: str, task_id: str | None) -> Lot | None:
        """What is drawn for the task; None while nothing that was learned is in force."""
        state = self._states.get(tenant)
        policy = policy_for(state, task_id) if state else None
        if state is None or policy is None:
            return None
        if self._turns.asked(tenant):
            self._wanted.set()
        if (tenant, policy) not in self._orders:
            # Not loaded yet, or not to be used at all: the last good one stays.
            policy = self._in_force.get(tenant)
            if policy is None or (tenant, policy) not in self._orders:
                return None
        ticket = None
        if task_id is not None:
            drawn = position(f"explore {policy}", task_id)
            ticket = drawn if drawn < state.exploration else None
        return Lot(policy, self._edition_now(tenant), state.exploration, ticket)

    def state(self, tenant: str) -> PolicyState | None:
        """What applies to the tenant; None while nobody said anything."""
        return self._states.get(tenant)

    def ranker(self, tenant: str, lot: Lot) -> LearnedOrder | None:
        """The order of that policy, as of now."""
        return self._orders.get((tenant, lot.policy))

    def learn(self, records: Sequence[ExperienceRecord]) -> None:
        """Count what became of tasks. Of tenants whose state is not known yet, or whose policies were put away, nothing

        is kept, and of tasks that another encoder placed neither: beside ours they would lie anywhere.
        """
        lessons: dict[str, list[Outcome]] = {}
        for record in records:
            here = record.tenant in self._states and not self._turns.is_away(record.tenant)
            if here and record.vector_version in (None, self._encoder):
                lessons.setdefault(record.tenant, []).extend(lessons_of(record, self._dimension))
        for tenant, outcomes in lessons.items():
            self._count(tenant, outcomes)

    def problem(self, tenant: str) -> str:
        """Why the policy that should be in force is not, in words; empty when it is."""
        return "; ".join(problem for (whose, _), problem in self._problems.items() if whose == tenant)

    async def _follow(self) -> None:
        try:
            # The versions lie beside the states: thousands of files that only those who load them have to read.
            async for entry in follow(self._js, subjects.BUCKET_POLICY, f"*.{subjects.POLICY_STATE}"):
                self._note(entry)
        except BusUnavailable as error:
            logger.warning("policies are no longer followed: %s", error)

    def _note(self, entry: KvEntry) -> None:
        tenant = entry.key.partition(".")[0]
        if entry.removed:
            self._states.pop(tenant, None)
            self._put_away(tenant)
            self._turns.forget(tenant)
            return
        try:
            self._states[tenant] = PolicyState.model_validate_json(entry.value)
        except ValidationError as error:
            logger.error("the policy state of tenant %s does not read; the last good one stays: %s", tenant, error)
            return
        self._editions[tenant] += 1
        self._wanted.set()

    async def _load_wanted(self) -> None:
        """Whatever a state names and is not here yet; failures are tried again."""
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._wanted.wait(), RETRY_S if self._problems else None)
            self._wanted.clear()
            for tenant, state in list(self._states.items()):
                if self._turns.is_away(tenant):
                    continue
                for policy in in_use(state):
                    if (tenant, policy) in self._orders:
                        continue
                    if self._turns.must_wait(tenant, self._sizes()):
                        self._put_away(tenant)
                    else:
                        await self._load(tenant, policy)
                if state.active is not None and (tenant, state.active) in self._orders:
                    self._in_force[tenant] = state.active
                self._forget_unused(tenant, state)

    async def _load(self, tenant: str, policy: str) -> None:
        try:
            live = await self._loader.load(tenant, policy, self._dimension, self._cards(tenant))
        except (PolicyUnreadable, BusUnavailable) as error:
            if self._problems.get((tenant, policy)) != str(error):
                logger.error("policy %s of tenant %s is not used, the last good one stays: %s", policy, tenant, error)
            self._problems[tenant, policy] = str(error)
            return
        except Exception as error:
            # A mistake of ours about one tenant's version must not keep all others from theirs, from now on.
            if (tenant, policy) not in self._problems:
                logger.exception("policy %s of tenant %s cannot be built, the last good one stays", policy, tenant)
            self._problems[tenant, policy] = f"it cannot be built: {error!r}"
            return
        await self._catch_up(tenant, live)
        self._orders[tenant, policy] = LearnedOrder(policy, live)
        self._problems.pop((tenant, policy), None)
        self._editions[tenant] += 1
        logger.info("tenant %s routes by policy %s, learned from %d outcomes", tenant, policy, live.events)
        for other in self._turns.put_away(tenant, self._sizes()):
            self._put_away(other)

    def _sizes(self) -> dict[str, int]:
        sizes: Counter[str] = Counter()
        for (tenant, _), order in self._orders.items():
            sizes[tenant] += order.live.size_bytes
        return sizes

    def _put_away(self, tenant: str) -> None:
        """Its next task is routed by similarity, as after a start, and those after it by what was learned."""
        for memory in (self._orders, self._problems):
            for key in [key for key in memory if key[0] == tenant]:
                del memory[key]
        for by_tenant in (self._in_force, self._recent, self._news_at):
            by_tenant.pop(tenant, None)
        self._news.discard(tenant)
        self._editions[tenant] += 1

    async def _catch_up(self, tenant: str, live: LivePolicy) -> None:
        """Count what was heard and the version does not know: all but the very latest off the event loop."""
        heard = tuple(self._recent.get(tenant, ()))
        known = await asyncio.to_thread(set, live.past.task_ids)
        await asyncio.to_thread(live.learn_all, [one for one in heard if one.task_id not in known])
        latest = self._recent.get(tenant, ())
        since = list(takewhile(lambda one: not heard or one is not heard[-1], reversed(latest)))
        live.learn_all([one for one in reversed(since) if one.task_id not in known])

    def _forget_unused(self, tenant: str, state: PolicyState) -> None:
        wanted = {*in_use(state), self._in_force.get(tenant)}
        for key in [key for key in self._orders if key[0] == tenant and key[1] not in wanted]:
            del self._orders[key]
        for key in [key for key in self._problems if key[0] == tenant and key[1] not in wanted]:
            del self._problems[key]

    def _count(self, tenant: str, outcomes: list[Outcome]) -> None:
        self._recent.setdefault(tenant, deque(maxlen=RECENT_OUTCOMES)).extend(outcomes)
        state = self._states[tenant]
        if state.frozen or not outcomes:
            return
        for (whose, policy), order in self._orders.items():
            if whose == tenant and policy != state.reference:
                order.live.learn_all(outcomes)
        self._news.add(tenant)

    def _edition_now(self, tenant: str) -> int:
        """One tenant's news outdate nothing of another's."""
        due = self._news_at.get(tenant, float("-inf")) + self._news_every_s
        if tenant in self._news and time.monotonic() >= due:
            self._editions[tenant] += 1
            self._news.discard(tenant)
            self._news_at[tenant] = time.monotonic()
        return self._editions[tenant]
