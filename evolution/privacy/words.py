"""Where a task's words lie in its experience. Used by ``guard``, and where what is stored already is sealed anew."""

from collections.abc import Callable
from typing import Any

from schemas.experience import ExperienceRecord
from schemas.network import Network, Node

Change = Callable[[str], str]


def reworded(record: ExperienceRecord, change: Change) -> ExperienceRecord:
    """The record with its words changed: the instruction, and what each node of its network answers of it."""
    text, network = change(record.instruction), record.network and _network(record.network, change)
    if text == record.instruction and network is record.network:
        return record
    return record.model_copy(update={"instruction": text, "network": network})


def reword_stored(values: dict[str, Any], change: Change) -> None:
    """The same, in place, for the JSON of a record or of feedback, as far as it reads."""
    match values:
        case {"network": {"nodes": [*nodes]}}:
            holders = [(values, "instruction"), *((node, "goal") for node in nodes if isinstance(node, dict))]
        case _:
            holders = [(values, "instruction"), (values, "comment")]
    for holder, name in holders:
        if isinstance(text := holder.get(name), str):
            holder[name] = change(text)


def _network(network: Network, change: Change) -> Network:
    nodes = tuple(_node(node, change) for node in network.nodes)
    same = all(new is old for new, old in zip(nodes, network.nodes, strict=True))
    return network if same else network.model_copy(update={"nodes": nodes})


def _node(node: Node, change: Change) -> Node:
    goal = change(node.goal)
    return node if goal == node.goal else node.model_copy(update={"goal": goal})
