"""From a genome to the network that workers run, and back. Called by whoever started a search."""

from collections.abc import Sequence

import numpy as np
from pydantic import ValidationError

from agents.evolving.genome import EMPTY, Population
from agents.evolving.space import Ints, Space, kinds_of
from agents.planning.offers import Offer
from agents.planning.typecheck import check, flowing
from schemas.network import TASK, Edge, Network, Node

MAX_NODE_ID_CHARS = 60


def decoded(space: Space, population: Population, goals: Sequence[str] = ()) -> Network:
    """The first network of the population. ``goals`` are the words for each slot; without them nodes have none.

    A slot reads the task when nobody feeds it, or for what it requires and nobody else gives it.
    """
    slots, links = population.slots[0], population.links[0]
    words = dict(enumerate(goals))
    names = _names(space, slots)
    nodes, edges = [], []
    for slot, node in names.items():
        offer = space.offers[slots[slot]]
        nodes.append(Node(id=node, agent_id=offer.agent_id, skill_id=offer.skill_id, goal=words.get(slot, "")))
        sources = [source for source in names if links[slot] >> source & 1]
        edges += _task_edges(space, offer, node, [space.offers[slots[source]] for source in sources])
        for source in sources:
            kinds = flowing(space.offers[slots[source]].outputs, offer.inputs)
            edges.append(Edge(source=names[source], target=node, modalities=kinds))
    return Network(nodes=tuple(nodes), edges=tuple(edges))


def encoded(space: Space, networks: Sequence[Network]) -> Population:
    """Networks as genomes to start a search from. Agents that the space lacks are left out; repair does the rest."""
    places = {offer.key: place for place, offer in enumerate(space.offers)}
    slots = np.full((len(networks), space.slots), EMPTY, dtype=np.int64)
    links = np.zeros_like(slots)
    for row, network in enumerate(networks):
        order = [node for group in network.groups() for node in group]
        known = [node for node in order if (network.node(node).agent_id, network.node(node).skill_id) in places]
        slot_of = {node: slot for slot, node in enumerate(known[: space.slots])}
        for node, slot in slot_of.items():
            slots[row, slot] = places[(network.node(node).agent_id, network.node(node).skill_id)]
        for edge in network.edges:
            if edge.source in slot_of and edge.target in slot_of:
                links[row, slot_of[edge.target]] |= 1 << slot_of[edge.source]
    return Population(slots, links)


def is_valid(space: Space, population: Population) -> bool:
    """Whether the first network is well formed and passes the planner's type check, asked of the message itself."""
    try:
        network = decoded(space, population)
    except ValidationError:
        return False
    wanted = kinds_of(space.wanted)
    sink = network.node(next(iter(network.sinks())))
    offers = {offer.key: offer for offer in space.offers}
    answers = offers[(sink.agent_id, sink.skill_id)].outputs
    return not check(network, offers, kinds_of(space.task)) and (not wanted or bool(answers & wanted))


def _names(space: Space, slots: Ints) -> dict[int, str]:
    """Node ids by slot: the agents' names, numbered when one works twice with different skills."""
    names: dict[int, str] = {}
    for slot in np.flatnonzero(slots >= 0):
        base = space.offers[slots[slot]].agent_id[:MAX_NODE_ID_CHARS]
        taken = {TASK, *names.values()}
        numbered = (base if count == 1 else f"{base}-{count}" for count in range(1, len(taken) + 2))
        names[int(slot)] = next(name for name in numbered if name not in taken)
    return names


def _task_edges(space: Space, offer: Offer, node: str, sources: Sequence[Offer]) -> list[Edge]:
    given = frozenset(kind for source in sources for kind in source.outputs) & offer.inputs
    task = kinds_of(space.task)
    read = (offer.requires - given) & task if sources else offer.inputs & task
    return [Edge(source=TASK, target=node, modalities=flowing(read, offer.inputs))] if read else []
