"""What one worker knows of kinds, without a bus: seeds for searches come from networks that a search made."""

import numpy as np

from agents.evolving.live.binding import packed
from agents.evolving.live.book import PlanBook
from schemas.network import TASK, Edge, Network, Node
from schemas.parts import Modality
from schemas.refinement import PlanTemplate

EAST = np.array([1.0, 0.0], dtype=np.float32)


def template(kind: str, refined: int) -> PlanTemplate:
    edge = Edge(source=TASK, target=kind, modalities=(Modality.TEXT,))
    network = Network(nodes=(Node(id=kind, agent_id=kind, skill_id="s"),), edges=(edge,))
    return PlanTemplate(
        kind=kind, tenant="default", shape="one", vector=packed(EAST), cards={}, errands={},
        network=network, refined=refined,
    )  # fmt: skip


def test_only_networks_that_a_search_made_are_seeds_of_the_next_one():
    book = PlanBook()
    book.take(template("woven", refined=0))
    assert book.alike("default", EAST) == []
    book.take(template("evolved", refined=1))
    assert [network.nodes[0].agent_id for network in book.alike("default", EAST)] == ["evolved"]
    assert book.alike("default", np.ones(3, dtype=np.float32)) == []
    assert book.alike("default", None) == []
    assert book.alike("other", EAST) == []
