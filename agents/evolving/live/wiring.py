"""Builds the planning of a worker whose networks evolve. Called by ``agents.wiring``."""

from collections.abc import Callable
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
from agents.ports.matching import Matcher
from agents.ports.registry import Fleet
from schemas.policy_state import PolicyState
from schemas.task import TaskSubmitted

StateOf = Callable[[str], PolicyState | None]
"""What applies to a tenant; None where nobody ever said."""


@dataclass(frozen=True, slots=True)
class PlanningOptions:
    """``preference`` is what networks put first: quality, cost or latency. Shares are 0 to 1.

    Plans that promise less than ``quality_threshold`` are refused; ``fresh_share`` of known tasks are planned anew. A
    tenant's policy may say otherwise for the first two.
    """

    preference: str = "quality"
    quality_threshold: float = 0.0
    fresh_share: float = 0.05


@dataclass(frozen=True, slots=True)
class TenantTerms:
    """What a tenant's policy says of plans; the deployment's options where it says nothing."""

    options: PlanningOptions
    state_of: StateOf

    def preference(self, tenant: str) -> Preference:
        """What its networks put first."""
        state = self.state_of(tenant)
        return Preference(state.preference if state and state.preference else self.options.preference)

    def threshold(self, tenant: str) -> float:
        """The chance of success that its plans must promise."""
        state = self.state_of(tenant)
        said = state.quality_threshold if state else None
        return self.options.quality_threshold if said is None else said


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
        state_of: StateOf = lambda _tenant: None,
    ) -> None:
        terms = TenantTerms(options, state_of)
        pasts, digests = Pasts(), CardDigests()
        book = PlanBook(js, pasts)
        background = Background(over_the_bus(nc), book, fleet, pasts, digests, terms.preference)
        greedy = GreedyPlanner(matcher, fleet, encode_texts, pasts=pasts, quality_threshold=terms.threshold)
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
