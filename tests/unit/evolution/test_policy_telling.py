"""What changes of a policy state are said to have done."""

from evolution.policies import changes
from evolution.policies.changes import Who
from evolution.policies.telling import freezing, last_trial, told
from schemas.policy_state import PolicyExperiment, PolicyState

BEA, TOM = Who("bea", "audit"), Who("tom")


def test_every_change_says_what_it_did():
    fresh = PolicyState(tenant="acme")
    trial = PolicyExperiment(name="exp-b", candidate="b", share=0.01)
    one = changes.promoted(fresh, "a", TOM)
    two = changes.started(one, trial, TOM)
    three = changes.widened(two, 0.05, TOM)
    four = changes.promoted(three, "b", TOM)
    five = changes.frozen(changes.referring(four, "a", TOM), BEA, frozen=True)
    six = changes.rolled_back(five, TOM)
    seven = changes.frozen(changes.preferring(six, "cost", 0.6, TOM), TOM, frozen=False)
    eight = changes.awaiting(changes.exploring(seven, 0.1, TOM), "c", TOM)
    assert told([one, two, three, four, five, six, seven, eight]) == [
        "a in force",
        "exp-b: 1% to b",
        "exp-b: 5% to b",
        "b in force; exp-b ended",
        "frozen; reference a",
        "a in force",
        "unfrozen; cost first; refuses below 60%",
        "exploration 10%; c awaits review",
    ]
    assert told([]) == []


def test_who_froze_is_known_after_others_changed_something():
    fresh = PolicyState(tenant="acme")
    promoted = changes.promoted(fresh, "a", TOM)
    frozen = changes.frozen(promoted, BEA, frozen=True)
    back = changes.rolled_back(frozen, TOM)
    assert freezing([promoted, frozen, back]) == frozen
    assert freezing([promoted, frozen, changes.frozen(back, TOM, frozen=False)]) is None
    assert freezing([]) is None


def test_how_the_last_experiment_ended_is_known_afterwards():
    one = PolicyExperiment(name="exp-b", candidate="b", share=0.01)
    other = one.model_copy(update={"name": "exp-c", "candidate": "c"})
    first = changes.started(PolicyState(tenant="acme"), one, TOM)
    wider = changes.widened(first, 0.05, TOM)
    assert last_trial([first, wider]) is None
    over = changes.stopped(wider, BEA)
    assert last_trial([first, wider, over]) == (wider.experiment, over)
    second = changes.started(changes.exploring(over, 0.1, TOM), other, TOM)
    promoted = changes.promoted(second, "c", BEA)
    assert last_trial([first, wider, over, second]) == (wider.experiment, over)
    assert last_trial([first, wider, over, second, promoted, changes.frozen(promoted, TOM, frozen=True)]) == (
        other,
        promoted,
    )
