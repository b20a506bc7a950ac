"""Whether a learned version comes into force by itself, and when a person decides."""

import pytest

from gateway.learning.promotion import ACTOR, state_after
from schemas.policy import Lineage, PolicySnapshot
from schemas.policy_state import PolicyExperiment, PolicyState

NEW = "learned-20261121T100000-abcd"


def version(changed: float | None = 0.1) -> PolicySnapshot:
    metrics = {} if changed is None else {"changed_choices": changed}
    return PolicySnapshot(policy=NEW, encoder="e", events=60, weights={}, lineage=Lineage(metrics=metrics))


def state(**values: object) -> PolicyState:
    return PolicyState.model_validate({"tenant": "default", **values})


def test_the_first_version_replaces_the_built_in_policy():
    after = state_after(state(), version(), 0.5, None)
    assert (after.active, after.previous, after.actor) == (NEW, ("cosine-1",), ACTOR)


def test_a_version_replaces_the_one_before():
    before = state(active="learned-1", previous=("cosine-1",))
    assert state_after(before, version(), 0.5, "learned-1").previous[0] == "learned-1"


def test_nothing_is_promoted_while_frozen_or_while_an_experiment_runs():
    trial = PolicyExperiment(name="x", candidate="other", share=0.1)
    for before in (state(frozen=True), state(experiment=trial)):
        assert state_after(before, version(), 0.5, None) is before


def test_a_large_change_waits_for_a_person_and_outdates_what_waited_of_ours():
    before = state(awaiting_review=("learned-old", "by-hand"))
    after = state_after(before, version(0.8), 0.5, None)
    assert after.active is None
    assert after.awaiting_review == ("by-hand", NEW)


def test_what_a_person_rolled_back_is_not_promoted_over():
    back_to_older = state(active="learned-1", previous=("cosine-1",))
    after = state_after(back_to_older, version(), 0.5, "learned-2")
    assert (after.active, after.awaiting_review) == ("learned-1", (NEW,))
    back_to_built_in = state(previous=("learned-1",))
    assert state_after(back_to_built_in, version(), 0.5, None).active is None


def test_a_policy_made_by_hand_is_left_in_force():
    before = state(active="by-hand")
    assert state_after(before, version(), 0.5, None) is before


@pytest.mark.parametrize("narrow", [{"effective_tasks": 1.0}, {"effective_agents": 1.1}])
def test_a_version_that_learned_from_a_few_tasks_or_agents_waits_for_a_person(narrow: dict[str, float]):
    various = {"changed_choices": 0.1, "effective_tasks": 80.0, "effective_agents": 6.0}
    assert state_after(state(), version_with(various), 0.5, None).active == NEW
    after = state_after(state(), version_with(various | narrow), 0.5, None)
    assert (after.active, after.awaiting_review) == (None, (NEW,))
    assert "learned from" in after.reason


def version_with(metrics: dict[str, float]) -> PolicySnapshot:
    return version().model_copy(update={"lineage": Lineage(metrics=metrics)})
