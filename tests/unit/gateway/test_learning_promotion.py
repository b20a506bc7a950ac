"""Whether a learned version comes into force by itself, and when a person decides."""

import pytest

from evolution.policies import changes
from evolution.policies.changes import Who
from gateway.learning.promotion import ACTOR, state_after
from schemas.policy import Lineage, PolicySnapshot
from schemas.policy_state import PolicyExperiment, PolicyState

NEW = "learned-20261121T100000-abcd"
ANNA = Who("anna")


def version(changed: float | None = 0.1) -> PolicySnapshot:
    metrics = {} if changed is None else {"changed_choices": changed}
    return PolicySnapshot(policy=NEW, encoder="e", events=60, weights={}, lineage=Lineage(metrics=metrics))


def state(**values: object) -> PolicyState:
    return PolicyState.model_validate({"tenant": "default", **values})


def test_the_first_version_replaces_the_built_in_policy():
    after = state_after(state(), version(), 0.5)
    assert (after.active, after.previous, after.actor) == (NEW, ("cosine-1",), ACTOR)


def test_a_version_that_cannot_say_how_much_it_changes_is_promoted_where_nothing_else_speaks_against_it():
    assert state_after(state(), version(None), 0.5).active == NEW


def test_a_version_replaces_the_one_before():
    before = state(active="learned-1", previous=("cosine-1",))
    assert state_after(before, version(), 0.5).previous[0] == "learned-1"


def test_nothing_is_promoted_while_frozen_or_while_an_experiment_runs():
    trial = PolicyExperiment(name="x", candidate="other", share=0.1)
    for before in (state(frozen=True), state(experiment=trial)):
        assert state_after(before, version(), 0.5) is before


def test_a_large_change_waits_for_a_person_and_outdates_what_waited_of_ours():
    before = state(awaiting_review=("learned-old", "by-hand"))
    after = state_after(before, version(0.8), 0.5)
    assert after.active is None
    assert after.awaiting_review == ("by-hand", NEW)


def test_what_a_person_rolled_back_is_not_promoted_over_until_a_person_promotes():
    before = state(active="learned-2", previous=("learned-1", "cosine-1"))
    back = changes.rolled_back(before, ANNA)
    after = state_after(back, version(), 0.5)
    assert (after.active, after.awaiting_review) == ("learned-1", (NEW,))
    reviewed = changes.promoted(after, NEW, ANNA)
    newer = version().model_copy(update={"policy": "learned-20261121T110000-abcd"})
    assert state_after(reviewed, newer, 0.5).active == newer.policy


@pytest.mark.parametrize("policy", ["cosine-1", "learned-1"])
def test_whoever_promotes_an_earlier_policy_goes_back_on_purpose_too(policy):
    before = state(active="learned-2", previous=("learned-1", "cosine-1"))
    after = state_after(changes.promoted(before, policy, ANNA), version(), 0.5)
    assert (after.active, after.awaiting_review) == (None if policy == "cosine-1" else policy, (NEW,))


def test_a_reset_to_the_prior_lasts_until_a_person_promotes():
    before = state(active="learned-1", previous=("cosine-1",))
    after = state_after(changes.reset(before, "learned-1", Who(ACTOR, "lost")), version(), 0.5)
    assert (after.active, after.awaiting_review) == (None, (NEW,))


def test_learning_goes_on_from_a_version_that_an_experiment_or_another_learner_put_in_force():
    trial = PolicyExperiment(name="x", candidate="learned-2", share=0.5)
    before = state(active="learned-1", previous=("cosine-1",), experiment=trial)
    promoted = changes.promoted(before, "learned-2", Who(ACTOR, "experiment x: success rises"))
    assert state_after(promoted, version(), 0.5).active == NEW


def test_a_policy_made_by_hand_is_left_in_force():
    before = state(active="by-hand")
    assert state_after(before, version(), 0.5) is before


@pytest.mark.parametrize("narrow", [{"effective_tasks": 1.0}, {"effective_agents": 1.1}])
def test_a_version_that_learned_from_a_few_tasks_or_agents_waits_for_a_person(narrow: dict[str, float]):
    various = {"changed_choices": 0.1, "effective_tasks": 80.0, "effective_agents": 6.0}
    assert state_after(state(), version_with(various), 0.5).active == NEW
    after = state_after(state(), version_with(various | narrow), 0.5)
    assert (after.active, after.awaiting_review) == (None, (NEW,))
    assert "learned from" in after.reason


def version_with(metrics: dict[str, float]) -> PolicySnapshot:
    return version().model_copy(update={"lineage": Lineage(metrics=metrics)})
