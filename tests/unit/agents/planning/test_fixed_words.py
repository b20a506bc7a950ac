"""What nodes do is told without a task's words, or not told at all."""

from agents.planning.complexity import Goal
from agents.planning.errands import errands_of
from schemas.network import TASK, Edge, Network, Node
from schemas.parts import Modality


def errands(words: str, *goals: str):
    """Of a node with those words that feeds one which answers all goals."""
    text = (Modality.TEXT,)
    nodes = (
        Node(id="a", agent_id="a", skill_id="s", goal=words),
        Node(id="b", agent_id="b", skill_id="s", goal=" and ".join(goals)),
    )
    edges = (Edge(source=TASK, target="a", modalities=text), Edge(source="a", target="b", modalities=text))
    return errands_of(Network(nodes=nodes, edges=edges), [Goal(text=goal) for goal in goals])


def test_words_that_no_task_said_are_kept_as_they_are():
    assert errands("Describe this table in words", "call Ann")["a"].words == "Describe this table in words"


def test_fixed_words_that_hold_a_goal_are_no_errand():
    assert errands("write to Bob and call Ann", "call Ann", "write to Bob") is None
