"""Plans by kind of task, and the request for a better one: what planning workers and refiners say to each other."""

from typing import Annotated

from pydantic import Field, StringConstraints, model_validator

from schemas.base import Message, Moment, Share, Token, now
from schemas.network import Network
from schemas.parts import Modality

OFFERS_MAX = 64
"""So many skills a refinement looks at: a task's candidates and those already at work."""
GOALS_MAX = 16


_MOST = 1e18
Amount = Annotated[float, Field(ge=0.0, le=_MOST)]
"""Of money, milliseconds or weight: bounded, so that sums and products of them stay numbers."""
LogOdds = Annotated[float, Field(ge=-1000.0, le=1000.0)]
Kinds = Annotated[tuple[Modality, ...], Field(max_length=len(Modality))]
Wording = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
"""A digest of one goal's words: it recognises them, and does not say them."""


class Errand(Message):
    """What a node of a template does: goals of the task by their place, or fixed words when it serves none itself."""

    goals: tuple[int, ...] = ()
    words: str = ""


class PlanTemplate(Message):
    """The network for a kind of task, to be bound to each concrete task: value of the ``aos_plans`` bucket."""

    kind: Token
    tenant: Token
    shape: str = Field(description="digest of what tasks of the kind share exactly: goals, content, hints")
    vector: str = Field(description="the middle of the kind, little-endian float32, base64")
    founder: str = Field(default="", description="the task whose vector it is: forgotten, the kind goes with it")
    wordings: tuple[tuple[Wording, ...], ...] = Field(default=(), description="of the founder's goals")
    network: Network = Field(description="its nodes have no goals: those are each task's own")
    errands: dict[str, Errand] = Field(description="by node")
    cards: dict[str, str] = Field(description="digest of the card of each agent it was made with")
    fleet: str = Field(default="", description="digest of all cards of the tenant: another fleet is looked at anew")
    woven: tuple[str, ...] = Field(default=(), description="agent.skill of the network that was woven for it first")
    fits: dict[str, Share] = Field(default_factory=dict, description="by node: chance that its skill suits its goals")
    planner: str = "greedy-1"
    refined: int = Field(default=0, ge=0)
    worth: float = 0.0
    at: Moment = Field(default_factory=now)


class RefineOffer(Message):
    """One skill of the search, with what is known of it. ``skill`` is log odds of solving each goal."""

    agent_id: Token
    skill_id: Token
    inputs: Kinds
    requires: Kinds = ()
    outputs: Kinds
    cost: Amount
    latency_ms: Amount
    reliability: Share = Field(default=1.0, description="chance that a step of it comes to an answer")
    skill: tuple[LogOdds, ...] = Field(max_length=GOALS_MAX)
    collects: bool = Field(default=False, description="its answer holds the answers of all who feed it")


class RefineGoal(Message):
    """One goal of the search. ``after`` is the earlier goal that it builds on, -1 for none."""

    after: int = Field(default=-1, ge=-1, lt=GOALS_MAX)
    consumed: bool = Field(default=False, description="its answer need not reach the result: a later goal reads it")
    content: Kinds = Field(description="the task's content that has to reach whoever solves it")


class RefineRequest(Message):
    """Asks a refiner for a better network: everything the search needs, so that any process can do it."""

    tenant: Token
    kind: Token
    task: Kinds
    wanted: Kinds = ()
    goals: tuple[RefineGoal, ...] = Field(min_length=1, max_length=GOALS_MAX)
    offers: tuple[RefineOffer, ...] = Field(min_length=1, max_length=OFFERS_MAX)
    handovers: tuple[tuple[int, int, LogOdds], ...] = Field(
        default=(),
        max_length=OFFERS_MAX**2,
        description="(from offer, to offer, log odds): what is known of who works well after whom",
    )
    seeds: tuple[Network, ...] = Field(min_length=1, max_length=16, description="the present network first")
    quality_weight: Amount
    cost_weight: Amount
    latency_weight: Amount
    evaluations: int = Field(default=4000, ge=2, le=100_000)
    seed: int = Field(default=0, ge=0, lt=2**63)

    @model_validator(mode="after")
    def _fits_together(self) -> "RefineRequest":
        if any(len(offer.skill) != len(self.goals) for offer in self.offers):
            raise ValueError("each offer needs one skill for each goal")
        if any(not 0 <= end < len(self.offers) for one, other, _ in self.handovers for end in (one, other)):
            raise ValueError("a handover names an offer that is not there")
        if any(len(seed.nodes) > OFFERS_MAX for seed in self.seeds):
            raise ValueError(f"one of the seeds has more than {OFFERS_MAX} nodes")
        return self


class Forecast(Message):
    """What a network is expected to come to, by the request's own numbers."""

    quality: Share
    cost: float = Field(ge=0)
    latency_ms: float = Field(ge=0)
    worth: float


class RefineReply(Message):
    """The best network found beside the present one, both judged the same way."""

    kind: Token
    network: Network | None = Field(default=None, description="none: the present one stays the best found")
    goals: dict[str, tuple[int, ...]] = Field(default_factory=dict, description="by node: goals that it solves best")
    present: Forecast | None = None
    better: Forecast | None = None
    front: tuple[Forecast, ...] = Field(default=(), description="what else was found that nothing dominates")
    evaluations: int = 0
    problem: str = Field(default="", description="why nothing could be searched")


class SkillPast(Message):
    """What became of one skill's steps."""

    done: float = Field(default=0.0, ge=0, description="steps that came to an answer; older ones count less")
    failed: float = Field(default=0.0, ge=0)
    latencies_ms: tuple[float, ...] = Field(default=(), description="of the last steps that were done")
    costs: tuple[float, ...] = ()


class PairPast(Message):
    """What became of steps that were fed by another skill."""

    source: str
    target: str
    done: float = Field(ge=0)
    failed: float = Field(ge=0)


class PlanningPast(Message):
    """A tenant's past as planning knows it: under ``<t>.past`` in the ``aos_plans`` bucket, for workers that start."""

    tenant: Token
    tasks: int = Field(default=0, ge=0)
    usual: tuple[float, float] = Field(default=(9.0, 1.0), description="steps of any skill that were done, that failed")
    skills: dict[str, SkillPast] = Field(default_factory=dict, description="by agent.skill")
    pairs: tuple[PairPast, ...] = ()
    forecasts: tuple[tuple[float, bool], ...] = Field(default=(), description="(uncalibrated chance, success)")
