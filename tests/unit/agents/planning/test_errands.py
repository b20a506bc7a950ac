"""Each node is asked what its goals say, and suits them as matching said of its own skill."""

import pytest

from agents.planning.complexity import Goal
from agents.planning.errands import LEARNED, errands_of, fit_of, fits_of, words_of
from schemas.candidate import Candidate, MatchReport
from schemas.network import TASK, Edge, Network, Node
from schemas.parts import Modality
from schemas.refinement import Errand

GOALS = (Goal("read it"), Goal("sum it up"))


def chain(**words: str) -> Network:
    """A chain of agents, in order, with what each is asked."""
    nodes = tuple(Node(id=agent, agent_id=agent, skill_id="s", goal=goal) for agent, goal in words.items())
    pairs = zip((TASK, *words), words, strict=False)
    edges = tuple(Edge(source=one, target=two, modalities=(Modality.TEXT,)) for one, two in pairs)
    return Network(nodes=nodes, edges=edges)


def report(**scores: float) -> MatchReport:
    found = tuple(Candidate(agent_id=agent, skill_id="s", score=score) for agent, score in scores.items())
    return MatchReport(candidates=found, threshold=0.3)


def served(network: Network, goals: tuple[Goal, ...] = GOALS) -> dict[str, tuple[int, ...]] | None:
    errands = errands_of(network, goals)
    return errands and {node: errand.goals for node, errand in errands.items()}


def test_a_node_serves_the_goals_whose_words_it_is_asked_and_a_bridge_none():
    assert served(chain(a="read it", b="sum it up")) == {"a": (0,), "b": (1,)}
    assert served(chain(a="read it and sum it up")) == {"a": (0, 1)}
    assert served(chain(bridge="Describe this table in words", a="read it and sum it up")) == {
        "bridge": (),
        "a": (0, 1),
    }


def test_where_a_goal_is_nobodys_nothing_is_said_of_other_words():
    assert served(chain(a="read it")) is None


def test_words_of_another_task_take_the_place_of_these():
    others = (Goal("listen"), Goal("write it down"))
    assert words_of(Errand(goals=(0, 1)), others) == "listen and write it down"
    assert words_of(Errand(words="Describe this table in words"), others) == "Describe this table in words"


def test_a_node_suits_its_goal_as_its_own_skill_does():
    network, near = chain(b="read it and sum it up"), report(a=0.9, b=0.6)
    errands = errands_of(network, GOALS)
    assert (
        fits_of(network, errands, (near, near))["b"]
        == fit_of(near.candidates[1], near)
        < fit_of(near.candidates[0], near)
    )


def test_of_several_goals_the_one_it_suits_least_counts_and_unknown_ones_do_not():
    network = chain(b="read it and sum it up")
    errands, good, poor = errands_of(network, GOALS), report(b=0.9), report(b=0.4)
    worst = fit_of(poor.candidates[0], poor)
    assert fits_of(network, errands, (good, poor)) == fits_of(network, errands, (poor, good)) == {"b": worst}
    assert fits_of(network, errands, (poor, report(other=0.9))) == {"b": worst}
    assert fits_of(network, errands, (report(other=0.9), report(other=0.9))) == {}


def test_whoever_only_finishes_an_answer_is_not_judged_by_its_goal():
    network = chain(a="read it and sum it up", finish="read it and sum it up")
    assert fits_of(network, errands_of(network, GOALS), (report(a=0.9, finish=0.4),) * 2).keys() == {"a"}


@pytest.mark.parametrize(("learned", "fit"), [(0.25, 0.25), (1.5, 1.0), (-0.5, 0.0)])
def test_what_was_learned_is_the_chance_whatever_the_card_says(learned, fit):
    known = Candidate(agent_id="a", skill_id="s", score=0.9, scores={LEARNED: learned})
    assert fit_of(known, MatchReport(candidates=(known,), threshold=0.3)) == fit


def test_by_the_prior_an_agent_just_near_enough_suits_in_62_of_100_cases():
    just = report(a=0.3)
    assert fit_of(just.candidates[0], just) == pytest.approx(0.62, abs=0.005)
    nearer = report(a=0.5)
    assert fit_of(nearer.candidates[0], nearer) == pytest.approx(0.89, abs=0.005)
