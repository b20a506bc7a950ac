"""The search behind a request for a better network, and the judge that both sides of the bus use. Pure, blocking.

Called by ``service`` in its own process, and by ``background`` to judge again what came back: nobody takes another
process's word for a plan that real tasks will run.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from agents.errors import NoNetworkFits
from agents.evolving.decoding import decoded, encoded, is_valid
from agents.evolving.genetic import GeneticSearch
from agents.evolving.genome import Population, repaired
from agents.evolving.live.task_quality import TaskQuality
from agents.evolving.objectives import Objectives, Problem, Weights, problem_of
from agents.evolving.searching import NetworkSearch
from agents.evolving.space import Space, bits_of, space_of
from agents.planning.offers import Offer, OfferKey
from schemas.network import Network
from schemas.refinement import Forecast, RefineReply, RefineRequest

GAIN_MIN = 0.005
"""What a network must be worth more to be called better: less is noise of the estimates."""


@dataclass(frozen=True, slots=True)
class Bench:
    """A request laid out for searching and judging."""

    problem: Problem
    quality: TaskQuality

    def judged(self, networks: Sequence[Network]) -> tuple[Population, list[Forecast | None]]:
        """Each network as a genome with its forecast; None for one that cannot be told faithfully as a genome."""
        space = self.problem.space
        genomes = encoded(space, networks)
        whole, alive = repaired(space, genomes)
        faithful = alive & (whole.slots == genomes.slots).all(axis=1) & (whole.links == genomes.links).all(axis=1)
        sizes = (genomes.slots >= 0).sum(axis=1) == [len(network.nodes) for network in networks]
        scores = self.problem.objectives(whole)
        told = [forecast_of(scores, row) if ok else None for row, ok in enumerate(faithful & sizes)]
        return whole, told


def bench_of(request: RefineRequest) -> Bench:
    """The request as arrays. Raises NoNetworkFits when its skills make no type-correct network."""
    offers = offers_in(request)
    latency_ms = [one.latency_ms for one in request.offers]
    space = space_of(list(offers.values()), latency_ms, task=frozenset(request.task), wanted=frozenset(request.wanted))
    quality = _quality(request, space, {key: place for place, key in enumerate(offers)})
    weights = Weights(request.quality_weight, request.cost_weight, request.latency_weight)
    return Bench(problem_of(space, quality, weights, len(request.goals)), quality)


def offers_in(request: RefineRequest) -> dict[OfferKey, Offer]:
    """The skills to choose from, in the request's order."""
    offers = (
        Offer(
            one.agent_id, one.skill_id, frozenset(one.inputs), frozenset(one.requires), frozenset(one.outputs), one.cost
        )
        for one in request.offers
    )
    return {offer.key: offer for offer in offers}


def refine(request: RefineRequest, search: NetworkSearch | None = None) -> RefineReply:
    """The best network found, or none when the present one is as good. Deterministic for the request's seed."""
    try:
        bench = bench_of(request)
    except NoNetworkFits as error:
        return RefineReply(kind=request.kind, problem=str(error))
    genomes, told = bench.judged(request.seeds)
    present = told[0]
    if present is None:
        return RefineReply(kind=request.kind, problem="the present network cannot be told as a genome")
    known = genomes.take(np.array([forecast is not None for forecast in told]))
    found = (search or GeneticSearch()).search(bench.problem, known, request.evaluations, request.seed)
    better = forecast_of(found.objectives, 0)
    front = tuple(forecast_of(found.front_objectives, row) for row in range(len(found.front)))
    reply = RefineReply(kind=request.kind, present=present, front=front, evaluations=found.evaluations)
    if better.worth < present.worth + GAIN_MIN or not is_valid(bench.problem.space, found.best):
        return reply
    network = decoded(bench.problem.space, found.best)
    return reply.model_copy(
        update={"network": network, "better": better, "goals": _goals_of(bench, found.best, network)}
    )


def forecast_of(objectives: Objectives, row: int) -> Forecast:
    """One row of the objectives as a message."""
    return Forecast(
        quality=min(max(float(objectives.quality[row]), 0.0), 1.0),
        cost=float(objectives.cost[row]),
        latency_ms=float(objectives.latency_ms[row]),
        worth=float(objectives.worth[row]),
    )


def _goals_of(bench: Bench, best: Population, network: Network) -> dict[str, tuple[int, ...]]:
    """By node: the goals that it solves best. ``decoded`` makes nodes in the order of the slots at work."""
    node_of = dict(zip(np.flatnonzero(best.slots[0] >= 0).tolist(), (node.id for node in network.nodes), strict=True))
    goals: dict[str, list[int]] = {node.id: [] for node in network.nodes}
    for goal, slot in enumerate(bench.quality.solvers(best)[0]):
        goals[node_of[int(slot)]].append(goal)
    return {node: tuple(some) for node, some in goals.items()}


def _quality(request: RefineRequest, space: Space, places: dict[tuple[str, str], int]) -> TaskQuality:
    kept = [places[offer.key] for offer in space.offers]
    row_of = {place: row for row, place in enumerate(kept)}
    handover = np.zeros((len(kept), len(kept)))
    for source, target, gain in request.handovers:
        if source in row_of and target in row_of:
            handover[row_of[source], row_of[target]] = gain
    return TaskQuality(
        space=space,
        skill=np.array([request.offers[place].skill for place in kept], dtype=np.float64),
        handover=handover,
        reliability=np.array([request.offers[place].reliability for place in kept]),
        collects=np.array([request.offers[place].collects for place in kept]),
        after=np.array([goal.after for goal in request.goals], dtype=np.int64),
        content=np.array([bits_of(frozenset(goal.content)) for goal in request.goals], dtype=np.int64),
        consumed=np.array([goal.consumed for goal in request.goals]),
    )
