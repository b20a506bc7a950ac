"""The archive gives winners of tasks alike as seeds, and never grows past its capacity."""

import numpy as np

from agents.evolving.archive import Archive, Winner
from agents.evolving.decoding import decoded, encoded
from agents.evolving.evaluation.synthetic import made_up
from agents.evolving.genetic import GeneticSearch
from schemas.network import TASK, Edge, Network, Node
from schemas.parts import Modality


def network(agent):
    node = Node(id=agent, agent_id=agent, skill_id="work")
    return Network(nodes=(node,), edges=(Edge(source=TASK, target=agent, modalities=(Modality.TEXT,)),))


def vector(*parts):
    whole = np.array(parts, dtype=np.float32)
    return whole / np.linalg.norm(whole)


def test_the_most_alike_come_first_and_strangers_not_at_all():
    archive = Archive(3)
    archive.keep(Winner(vector(1, 0, 0), network("far"), 0.5))
    archive.keep(Winner(vector(0, 1, 0.5), network("near"), 0.5))
    archive.keep(Winner(vector(0, 1, 0.1), network("nearer"), 0.5))
    assert [one.nodes[0].id for one in archive.alike(vector(0, 1, 0))] == ["nearer", "near"]


def test_a_newer_winner_for_the_same_task_replaces_the_older():
    archive = Archive(2)
    archive.keep(Winner(vector(1, 0), network("old"), 0.9))
    archive.keep(Winner(vector(1, 0.01), network("new"), 0.5))
    assert len(archive) == 1
    assert archive.alike(vector(1, 0))[0].nodes[0].id == "new"


def test_the_oldest_goes_when_the_archive_is_full():
    archive = Archive(3, capacity=2)
    for place, agent in enumerate(("first", "second", "third")):
        archive.keep(Winner(np.eye(3, dtype=np.float32)[place], network(agent), 0.5))
    assert len(archive) == 2
    assert archive.alike(vector(1, 0, 0)) == []
    assert archive.alike(vector(0, 0, 1))[0].nodes[0].id == "third"


def test_an_empty_archive_gives_nothing():
    assert Archive(2).alike(vector(1, 0)) == []


def test_a_past_winner_is_a_seed_that_a_short_search_starts_from():
    problem, _ = made_up(15, 77)
    long = GeneticSearch().search(problem, None, 4000, 0)
    seeds = encoded(problem.space, [decoded(problem.space, long.best)])
    assert GeneticSearch().search(problem, seeds, 150, 1).worth >= long.worth - 1e-12


def test_a_winner_that_is_forgotten_leaves_its_room_and_the_others():
    archive = Archive(3, capacity=3)
    axes = np.eye(3, dtype=np.float32)
    for axis, agent in zip(axes, ("first", "second", "third"), strict=True):
        archive.keep(Winner(axis, network(agent), 0.5))
    archive.forget(axes[0])
    archive.forget(vector(1, 1, 1))  # nobody's
    assert [len(archive.alike(axis)) for axis in axes] == [0, 1, 1]
    archive.keep(Winner(axes[0], network("again"), 0.5))
    assert [archive.alike(axis)[0].nodes[0].id for axis in axes] == ["again", "second", "third"]
