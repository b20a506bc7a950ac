"""A policy forgets agents of whom its past holds nothing more, and nothing of the others."""

import numpy as np

from agents.matching.live.features import Shown
from agents.matching.live.forgetting import forget
from agents.matching.live.groups import FIRST_AT
from agents.matching.live.past import PastTasks
from agents.matching.live.policy import LivePolicy, Outcome
from agents.matching.live.snapshots import Title, artefacts_of, policy_of, snapshot_of
from agents.matching.live.standings import Standings
from schemas.policy import Lineage

DIMENSION, CAPACITY = 16, FIRST_AT + 100


def outcomes(start: int, count: int, agents: list[str]) -> list[Outcome]:
    rng = np.random.default_rng(start)
    vectors = rng.normal(0, 1, (count, DIMENSION)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return [
        Outcome(f"t{start + at}", agents[at % len(agents)], vectors[at], float(at % 3 > 0), nearness=0.5)
        for at in range(count)
    ]


def policy_with(capacity: int = CAPACITY) -> LivePolicy:
    return LivePolicy(PastTasks(DIMENSION, capacity), Standings())


def judged(policy: LivePolicy, agents: list[str]) -> np.ndarray:
    zeros = np.zeros(len(agents), np.float32)
    vector = np.eye(DIMENSION, dtype=np.float32)[0]
    return policy.judge(vector, agents, Shown(np.full(len(agents), 0.5, np.float32), zeros, zeros)).chances


def test_a_policy_is_no_larger_for_all_the_agents_that_came_and_went():
    policy = policy_with()
    for generation in range(60):
        policy.learn_all(outcomes(generation * 50, 50, [f"pod-{generation}-{number}" for number in range(10)]))
        policy.look()
    alive = {policy.standings.agents[number] for number in policy.past.agents}
    assert len(policy.standings) <= len(alive) + 20  # those of the lot that last made room
    assert policy.groups.counts.shape[1] <= len(policy.standings)
    assert "pod-0-0" not in policy.standings.agents
    assert np.isfinite(judged(policy, ["pod-0-0", "pod-59-3"])).all()


def test_one_by_one_as_well():
    policy = policy_with(capacity=40)
    for number, one in enumerate(outcomes(0, 400, [f"pod-{number}" for number in range(200)])):
        policy.learn(one)
        assert len(policy.standings) <= 41, number


def test_what_is_known_of_those_who_stay_stays_and_makes_a_snapshot_that_reads():
    policy = policy_with(capacity=10_000)
    policy.learn_all(outcomes(0, 300, ["gone-1", "a", "gone-2", "b"]))
    policy.look()
    policy.learn_all(outcomes(300, 300, ["c", "b", "a"]))
    policy.past._keep(np.arange(300, 600))
    names = [policy.standings.agents[number] for number in policy.past.agents]
    rows = {agent: policy.standings.table[policy.standings.number(agent)] for agent in "abc"}
    counts = {agent: policy.groups.counts[:, policy.standings.number(agent)] for agent in "abc"}
    forget(policy.past, policy.standings, policy.groups, policy.own_steps)
    assert policy.standings.agents == ("a", "b", "c")
    assert [policy.standings.agents[number] for number in policy.past.agents] == names
    for agent in "abc":
        number = policy.standings.number(agent)
        np.testing.assert_array_equal(policy.standings.table[number], rows[agent])
        np.testing.assert_array_equal(policy.groups.counts[:, number], counts[agent])
    policy.look()
    title = Title("p", None, "e", Lineage(records=1, code="test"))
    again = policy_of(snapshot_of(policy, title, {}), artefacts_of(policy), DIMENSION)
    np.testing.assert_allclose(judged(again, ["a", "b", "c"]), judged(policy, ["a", "b", "c"]), atol=0.02)


def test_a_policy_whose_past_is_full_of_the_same_agents_forgets_none():
    policy = policy_with(capacity=40)
    policy.learn_all(outcomes(0, 400, ["a", "b"]))
    assert policy.standings.agents == ("a", "b")
