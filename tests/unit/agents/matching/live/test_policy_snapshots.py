"""A policy through its file: what comes back judges alike, and what is damaged is refused with clear words."""

import io

import numpy as np
import pytest

from agents.matching.live.features import Shown
from agents.matching.live.learner import Learner
from agents.matching.live.past import PastTasks
from agents.matching.live.policy import LivePolicy, Outcome
from agents.matching.live.snapshots import (
    CHUNK_ROWS,
    COUNTS,
    GROUPS,
    KIN,
    OUTCOMES,
    OWN_STEPS,
    Title,
    artefacts_of,
    policy_of,
    snapshot_of,
)
from agents.matching.live.standings import FIRST_AGENTS, Standings
from schemas.policy import Lineage, PolicyUnreadable, dumps, loads

DIMENSION = 8
TITLE = Title("learned-1", None, "test-1", Lineage())


def unit(rng: np.random.Generator) -> np.ndarray:
    vector = rng.normal(size=DIMENSION).astype(np.float32)
    return vector / np.linalg.norm(vector)


def learned(outcomes: int = 40) -> LivePolicy:
    rng = np.random.default_rng(0)
    learner = Learner(LivePolicy.blank(DIMENSION))
    for number in range(outcomes):
        learner.learn(Outcome(f"t{number}", f"a{number % 3}", unit(rng), float(number % 2), 0.5, latency_ms=20.0))
    learner.fit()
    return learner.policy


def through_the_file(policy: LivePolicy) -> LivePolicy:
    parts = artefacts_of(policy)
    snapshot = snapshot_of(policy, TITLE, dict.fromkeys(parts, f"sha256:{'0' * 64}"))
    return policy_of(loads(dumps(snapshot)), parts, DIMENSION)


def test_what_comes_back_judges_alike():
    before = learned()
    after = through_the_file(before)
    zeros = np.zeros(3, np.float32)
    shown = Shown(np.full(3, 0.5, np.float32), zeros, zeros)
    vector = unit(np.random.default_rng(1))
    ids = ("a0", "a1", "a2")
    assert after.judge(vector, ids, shown).chances == pytest.approx(before.judge(vector, ids, shown).chances, abs=2e-3)
    assert (after.events, after.past.task_ids) == (before.events, before.past.task_ids)
    assert after.trust == before.trust < 1.0


def test_a_policy_without_a_past_comes_back_too():
    assert through_the_file(LivePolicy.blank(DIMENSION)).past.count == 0


@pytest.mark.parametrize("agents", [FIRST_AGENTS, FIRST_AGENTS + 1, 5 * FIRST_AGENTS])
def test_a_fleet_larger_than_the_first_table_comes_back(agents: int):
    standings = Standings()
    for number in range(agents):
        standings.put(f"a{number}", (number, 1.0, 20.0, 0.5))
    after = through_the_file(LivePolicy(PastTasks(DIMENSION), standings)).standings
    assert after.agents == standings.agents
    assert after.table.tolist() == [[number, 1.0, 20.0, 0.5] for number in range(agents)]


def test_chunks_that_are_full_never_change():
    rng = np.random.default_rng(0)
    standings = Standings()
    standings.met("a0")
    policy = LivePolicy(PastTasks(DIMENSION), standings)
    for number in range(CHUNK_ROWS + 5):
        policy.past.add(f"t{number}", unit(rng), 0, 1.0)
    before = artefacts_of(policy)
    policy.past.add("one more", unit(rng), 0, 0.0)
    after = artefacts_of(policy)
    assert [name for name in before if before[name] == after[name]] == ["past-vectors-000"]


def test_groups_come_back_and_judge_alike():
    before = learned(300)
    after = through_the_file(before)
    assert before.groups
    vector = unit(np.random.default_rng(2))
    one, other = (policy.groups.evidence(vector, 3, 0.5) for policy in (before, after))
    assert other.chances == pytest.approx(one.chances, abs=5e-3)


def test_groups_of_a_version_without_counts_are_counted_from_its_past():
    before = learned(300)
    parts = artefacts_of(before)
    with_counts = policy_of(snapshot_of(before, TITLE, {}), parts, DIMENSION)
    del parts[COUNTS]
    without = policy_of(snapshot_of(before, TITLE, {}), parts, DIMENSION)
    assert np.allclose(without.groups.counts, with_counts.groups.counts, atol=0.05)


def test_counts_of_other_groups_are_refused():
    policy = learned(300)
    parts = artefacts_of(policy)
    buffer = io.BytesIO()
    np.save(buffer, np.zeros((2, 3, 1), dtype=np.float16))
    with pytest.raises(PolicyUnreadable, match=r"counts of the shape \(2, 3, 1\)"):
        policy_of(snapshot_of(policy, TITLE, {}), parts | {COUNTS: buffer.getvalue()}, DIMENSION)


def test_kinship_of_other_groups_is_refused_and_a_version_without_it_has_none():
    policy = learned(300)
    parts, snapshot = artefacts_of(policy), snapshot_of(policy, TITLE, {})
    buffer = io.BytesIO()
    np.save(buffer, np.ones((3, 3), dtype=np.float16))
    with pytest.raises(PolicyUnreadable, match=r"kinship of the shape \(3, 3\)"):
        policy_of(snapshot, parts | {KIN: buffer.getvalue()}, DIMENSION)
    assert np.allclose(policy_of(snapshot, parts, DIMENSION).groups.kin, policy.groups.kin, atol=1e-3)
    del parts[KIN]
    assert not policy_of(snapshot, parts, DIMENSION).groups.kin.size


def test_own_steps_come_back_and_say_alike_and_go_on_hearing():
    before = learned(300)
    after = through_the_file(before)
    vector = unit(np.random.default_rng(3))
    for policy in (before, after):
        policy.learn(Outcome("new", "a1", vector, 1.0))
    one, other = (
        policy.own_steps.said(policy.near(vector).cosines, policy.past.agents, policy.past.serials)
        for policy in (before, after)
    )
    assert abs(one).max() > 0.1
    assert other == pytest.approx(one, abs=2e-2)


def test_a_version_without_own_steps_says_nothing_by_them():
    policy = learned(300)
    parts = artefacts_of(policy)
    del parts[OWN_STEPS]
    assert not policy_of(snapshot_of(policy, TITLE, {}), parts, DIMENSION).own_steps.kept(0)[0].any()


@pytest.mark.parametrize(
    ("weights", "added", "problem"),
    [(np.zeros(301), np.zeros(301), "its past has 300"), (np.zeros(3), np.zeros(4), r"\(3,\) and \(4,\)"),
     (np.full(3, np.nan), np.zeros(3), "no number"),
     (np.zeros(3), np.array([0.0, np.inf, 0.0]), "no number")],
)  # fmt: skip
def test_own_steps_of_another_past_are_refused(weights, added, problem):
    policy = learned(300)
    buffer = io.BytesIO()
    np.savez(buffer, weights=weights.astype(np.float16), added=added.astype(np.float16))
    with pytest.raises(PolicyUnreadable, match=problem):
        policy_of(snapshot_of(policy, TITLE, {}), artefacts_of(policy) | {OWN_STEPS: buffer.getvalue()}, DIMENSION)


@pytest.mark.parametrize("cut", [0, 10, -10])
@pytest.mark.parametrize("name", [OUTCOMES, GROUPS, COUNTS, KIN, OWN_STEPS, "past-vectors-000"])
def test_a_damaged_artefact_is_refused(name, cut):
    policy = learned(300)
    parts = artefacts_of(policy)
    parts[name] = parts[name][:cut]
    with pytest.raises(PolicyUnreadable, match="damaged"):
        policy_of(snapshot_of(policy, TITLE, {}), parts, DIMENSION)


def test_a_past_of_another_encoder_or_of_unnamed_agents_is_refused():
    policy = learned()
    parts = artefacts_of(policy)
    snapshot = snapshot_of(policy, TITLE, {})
    with pytest.raises(PolicyUnreadable, match="the encoder makes 9"):
        policy_of(snapshot, parts, DIMENSION + 1)
    with pytest.raises(PolicyUnreadable, match="does not name"):
        policy_of(snapshot.model_copy(update={"standings": {}}), parts, DIMENSION)


def test_missing_vectors_are_refused():
    policy = learned()
    parts = artefacts_of(policy)
    del parts["past-vectors-000"]
    with pytest.raises(PolicyUnreadable, match="0 vectors for 40 outcomes"):
        policy_of(snapshot_of(policy, TITLE, {}), parts, DIMENSION)
