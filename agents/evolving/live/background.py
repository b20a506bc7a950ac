"""Betters the networks of kinds in the background, one at a time: asks a refiner, validates, replaces.

Called by ``planner``, which never waits for it. The search runs in another process, over the bus; what comes back is
judged again here, and replaces the present network only when it is type-correct and a predicted improvement.
"""

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

import nats.errors
from nats.aio.client import Client
from pydantic import ValidationError

from agents.background_tasks import begun, ended
from agents.evolving.live.binding import CardDigests
from agents.evolving.live.book import PlanBook
from agents.evolving.live.brief import brief_of
from agents.evolving.live.refiner import GAIN_MIN, bench_of, offers_in
from agents.evolving.objectives import WEIGHTS, Preference
from agents.planning.errands import fits_of
from agents.planning.pasts import Pasts
from agents.planning.planner import Woven
from agents.planning.typecheck import check
from agents.ports.registry import Fleet
from schemas import subjects
from schemas.base import now
from schemas.card import AgentCard
from schemas.network import Network
from schemas.refinement import Errand, Forecast, PlanTemplate, RefineReply, RefineRequest
from tensor_layer.ports import Vector

logger = logging.getLogger(__name__)

WAITING_MAX = 64
REPLY_TIMEOUT_S = 60.0
SAME_QUALITY = 0.02
SAME_SUM = 1.0 + 1e-9
"""Times what two sums may differ that were added up in another order."""
REST = 4.0
"""After a search so many times its length of rest: one worker keeps a refiner busy for a fifth of the time at most."""
RETRY_S, RETRY_MOST_S = 2.0, 60.0
"""Where no refiner is there, the wish stays and is asked again after so long, and then twice as long each time."""

Ask = Callable[[RefineRequest], Awaitable[RefineReply | None]]
"""What a refiner found; None when there is none that could have heard."""
Preferred = Callable[[str], Preference]
"""What a tenant puts first."""


def over_the_bus(nc: Client) -> Ask:
    """Asks whatever refiner takes it from the queue."""

    async def ask(request: RefineRequest) -> RefineReply | None:
        try:
            message = await nc.request(subjects.REFINE, request.model_dump_json().encode(), timeout=REPLY_TIMEOUT_S)
            return RefineReply.from_peer(message.data)
        except nats.errors.NoRespondersError:
            logger.info("no refiner is there to better the network of kind %s", request.kind)
            return None
        except (nats.errors.Error, OSError, ValidationError) as error:
            # Heard, perhaps: a search is dear, so it is not asked for again before the kind is met again.
            logger.info("no refiner betters the network of kind %s just now: %r", request.kind, error)
            return RefineReply(kind=request.kind, problem=repr(error)[:2000])

    return ask


@dataclass(frozen=True, slots=True)
class _Wish:
    template: PlanTemplate
    woven: Woven
    vector: Vector | None


class Background:
    """A queue of kinds whose networks may be bettered. A kind that waits already is not queued twice."""

    def __init__(
        self, ask: Ask, book: PlanBook, fleet: Fleet, pasts: Pasts, digests: CardDigests, preference: Preferred
    ) -> None:
        self._ask = ask
        self._book = book
        self._fleet = fleet
        self._pasts = pasts
        self._digests = digests
        self._preference = preference
        self._wishes: OrderedDict[tuple[str, str], _Wish] = OrderedDict()
        self._wished = asyncio.Event()
        self._working: list[asyncio.Task[None]] = []
        self._round = 0

    async def start(self) -> None:
        """Wishes are worked off from now on."""
        self._working = begun((self._work,), "bettering the networks of kinds")

    async def stop(self) -> None:
        """What waits is forgotten: the next task of the kind wishes again."""
        await ended(*self._working)

    def wish(self, template: PlanTemplate, woven: Woven, vector: Vector | None) -> None:
        """Better this kind's network when there is time. Returns at once."""
        self._wishes[template.tenant, template.kind] = _Wish(template, woven, vector)
        if len(self._wishes) > WAITING_MAX:
            self._wishes.popitem(last=False)
        self._wished.set()

    async def drain(self) -> None:
        """Work off what waits now."""
        for _ in range(len(self._wishes)):
            await self._better_next()

    async def _better_next(self) -> bool:
        """Whether the wish was heard; else it waits on, unless the kind has a newer one."""
        kind, wish = self._wishes.popitem(last=False)
        try:
            heard = await self._better(wish)
        except Exception:
            logger.exception("the network of kind %s could not be bettered", wish.template.kind)
            heard = True
        if not heard:
            self._wishes.setdefault(kind, wish)
        return heard

    async def _work(self) -> None:
        retry_s = RETRY_S
        while True:
            await self._wished.wait()
            self._wished.clear()
            while self._wishes:
                started = time.monotonic()
                if await self._better_next():
                    retry_s = RETRY_S
                    await asyncio.sleep(REST * (time.monotonic() - started))
                else:
                    await asyncio.sleep(retry_s)
                    retry_s = min(2.0 * retry_s, RETRY_MOST_S)

    async def _better(self, wish: _Wish) -> bool:
        """False when nobody was there to ask."""
        template, woven = wish.template, wish.woven
        past, cards = self._pasts.of(template.tenant).steps, self._fleet.cards(template.tenant)
        if template.fleet != self._digests.fleet(template.tenant, cards):
            return True  # another fleet than it was made for: its next task is looked at anew, and wishes again
        self._round += 1
        seeds = self._book.alike(template.tenant, wish.vector)
        preference = self._preference(template.tenant)
        weights = WEIGHTS[preference]
        request = brief_of(template, woven, past, weights, cards, seeds, seed=self._round)
        if request is None:
            return True
        reply = await self._ask(request)
        if reply is None or reply.network is None:
            return reply is not None
        better = await asyncio.to_thread(accepted, request, reply, woven, preference)
        present = self._book.template(template.tenant, template.kind)
        if better is None or present is None or present.at != template.at:
            return True
        if self._changed(template.tenant, reply.network, cards):
            return True
        await self._book.keep(self._refined(present, woven, reply, better))
        logger.info("kind %s has a better network: worth %.3f, was %.3f", template.kind, better.worth, present.worth)
        return True

    def _changed(self, tenant: str, network: Network, cards: Mapping[str, AgentCard]) -> bool:
        """Whether an agent of it left, or has another card than when the search began: then nobody judged this one."""
        present = self._fleet.cards(tenant)
        return any(present.get(node.agent_id) != cards.get(node.agent_id) for node in network.nodes)

    def _refined(self, present: PlanTemplate, woven: Woven, reply: RefineReply, better: Forecast) -> PlanTemplate:
        assert reply.network is not None
        cards = self._fleet.cards(present.tenant)
        errands = errands_for(reply.network, reply.goals, present)
        changes = {
            "network": reply.network,
            "errands": errands,
            "fits": fits_of(reply.network, errands, woven.reports),
            "cards": {node.agent_id: self._digests.card(cards[node.agent_id]) for node in reply.network.nodes},
            "planner": "genetic-1",
            "refined": present.refined + 1,
            "worth": better.worth,
            "at": now(),
        }
        return present.model_copy(update=changes)


def accepted(request: RefineRequest, reply: RefineReply, woven: Woven, preference: Preference) -> Forecast | None:
    """What the network promises when it may replace the present one; None when it may not. Blocks for milliseconds.

    It has to be type-correct and acyclic by the planner's own check, to serve every goal, and to be judged better here:
    worth more by the tenant's weights, and no worse in what the tenant puts first.
    """
    if reply.network is None:
        return None
    if check(reply.network, offers_in(request), woven.analysis.modalities):
        return None
    served = {goal for goals in reply.goals.values() for goal in goals}
    if served != set(range(len(request.goals))) or set(reply.goals) != {node.id for node in reply.network.nodes}:
        return None
    _, (present, better) = bench_of(request).judged((request.seeds[0], reply.network))
    if present is None or better is None or better.worth < present.worth + GAIN_MIN:
        return None
    return better if no_worse(present, better, preference) else None


def no_worse(present: Forecast, better: Forecast, preference: Preference) -> bool:
    """In what the tenant puts first; of qualities, differences within ``SAME_QUALITY`` are noise of the estimates."""
    if preference is Preference.COST:
        return better.cost <= present.cost * SAME_SUM
    if preference is Preference.LATENCY:
        return better.latency_ms <= present.latency_ms * SAME_SUM
    return better.quality >= present.quality - SAME_QUALITY


def errands_for(network: Network, goals: Mapping[str, tuple[int, ...]], before: PlanTemplate) -> dict[str, Errand]:
    """What each node does: the goals it solves; else what its skill did before; else what those who read it do."""
    known = {
        (node.agent_id, node.skill_id): before.errands[node.id]
        for node in before.network.nodes
        if not before.errands[node.id].goals
    }
    errands: dict[str, Errand] = {}
    for group in reversed(network.groups()):
        for node_id in group:
            node = network.node(node_id)
            readers = [edge.target for edge in network.edges if edge.source == node_id]
            if goals[node_id]:
                errands[node_id] = Errand(goals=goals[node_id])
            elif (node.agent_id, node.skill_id) in known:
                errands[node_id] = known[node.agent_id, node.skill_id]
            else:
                # The sink without a goal and without a past: it gathers what the others answered.
                errands[node_id] = errands[readers[0]] if readers else Errand(goals=tuple(range(_count(goals))))
    return errands


def _count(goals: Mapping[str, tuple[int, ...]]) -> int:
    return 1 + max((goal for some in goals.values() for goal in some), default=-1)
