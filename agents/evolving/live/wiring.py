"""Builds the planning of a worker whose networks evolve. Called by ``agents.wiring``."""

from dataclasses import dataclass

from nats.aio.client import Client
from nats.js import JetStreamContext

from agents.evolving.live.background import Background, over_the_bus
from agents.evolving.live.binding import CardDigests
from agents.evolving.live.book import PlanBook
from agents.evolving.live.past_keeper import PastKeeper
from agents.evolving.live.planner import KindPlanner
from agents.evolving.objectives import Preference
from agents.planning.nearness import EncodeTexts
from agents.planning.pasts import Pasts
from agents.planning.planner import GreedyPlanner
from agents.ports import Fleet, Matcher
from schemas.task import TaskSubmitted


@dataclass(frozen=True, slots=True)
class PlanningOptions:
    """``preference`` is what the tenant's policy puts first: quality, cost or latency. Shares are 0 to 1.

    Plans that promise less than ``quality_threshold`` are refused; ``fresh_share`` of known tasks are planned anew.
    """

    preference: str = "quality"
    quality_threshold: float = 0.0
    fresh_share: float = 0.05


class LivePlanning:
    """The planner with what keeps it current, as one service of the worker."""

    def __init__(
        self,
        nc: Client,
        js: JetStreamContext,
        matcher: Matcher,
        fleet: Fleet,
        encode_texts: EncodeTexts,
        options: PlanningOptions,
    ) -> None:
        pasts, digests = Pasts(), CardDigests()
        book = PlanBook(js, pasts)
        background = Background(over_the_bus(nc), book, fleet, pasts, digests, Preference(options.preference))
        greedy = GreedyPlanner(matcher, fleet, encode_texts, pasts=pasts, quality_threshold=options.quality_threshold)
        keeper = PastKeeper(pasts, book)
        self.learn = keeper.learn
        self._services = (book, keeper, background)
        self.planner = KindPlanner(
            greedy, fleet, book, background, digests,
            fresh_share=options.fresh_share, policy_of=lambda task: _policy_of(matcher, task),
        )  # fmt: skip

    async def start(self) -> None:
        """Read the plans that are there, and follow what happens."""
        for service in self._services:
            await service.start()

    async def stop(self) -> None:
        """Follow no more."""
        for service in reversed(self._services):
            await service.stop()


def _policy_of(matcher: Matcher, task: TaskSubmitted) -> str | None:
    lot = matcher.lot(task)
    if lot is None:
        return ""
    return None if lot.ticket is not None else lot.policy
