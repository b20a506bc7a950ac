"""The order in which a network's nodes run, and that reading even a hostile one takes no time worth telling."""

from itertools import pairwise

import pytest
from pydantic import ValidationError

from schemas.network import TASK, Edge, Network, Node
from schemas.parts import Modality


def network(*arrows: str) -> Network:
    pairs = [arrow.split(">") for arrow in arrows]
    names = dict.fromkeys(name for pair in pairs for name in pair if name != TASK)
    return Network(
        nodes=tuple(Node(id=name, agent_id=name, skill_id="work") for name in names),
        edges=tuple(Edge(source=one, target=two, modalities=(Modality.TEXT,)) for one, two in pairs),
    )


@pytest.mark.parametrize(
    ("arrows", "groups"),
    [
        (["task>a"], (("a",),)),
        (["task>b", "task>a", "a>c", "b>c"], (("a", "b"), ("c",))),
        (["task>a", "a>b", "a>c", "c>d", "b>d", "a>d"], (("a",), ("b", "c"), ("d",))),
        (["task>b", "b>a", "task>a", "b>a"], (("b",), ("a",))),
    ],
)
def test_nodes_run_as_soon_as_all_that_they_read_from_have(arrows, groups):
    assert network(*arrows).groups() == groups


@pytest.mark.parametrize("arrows", [["task>a", "a>b", "b>c", "c>b", "c>d"], ["a>a", "a>b"]])
def test_a_circle_is_refused_with_its_nodes(arrows):
    with pytest.raises(ValidationError, match=r"cycle through \['[ab]'"):
        network(*arrows)


def test_a_chain_as_long_as_a_message_can_hold_is_read():
    """It took minutes, quadratic in the nodes, in whatever process read such a message."""
    names = [TASK, *(f"n{number}" for number in range(20_000))]
    chain = network(*(f"{one}>{two}" for one, two in pairwise(names)))
    assert len(Network.from_peer(chain.model_dump_json()).groups()) == 20_000
