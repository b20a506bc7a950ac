"""Whether a new version comes into force by itself. Pure; called by ``publishing``.

What a person decided is never undone: nothing is promoted while policies are frozen, while an experiment runs, or when
so many choices would change that a person has to look first.
"""

from evolution.policies import changes
from evolution.policies.bucket import BUILT_IN
from evolution.policies.changes import Who, active_name
from schemas.policy import PolicySnapshot
from schemas.policy_state import PolicyState

ACTOR = "aos-evolution"
PREFIX = "learned-"


def state_after(state: PolicyState, snapshot: PolicySnapshot, review_beyond: float, ours: str | None) -> PolicyState:
    """The state once the version is there: with it in force, awaiting review, or the very same.

    ``ours`` is the version that this learner put in force last. Another one in its place was chosen by somebody.
    """
    if state.frozen or state.experiment is not None:
        return state
    active = active_name(state)
    if active != (ours or active) or (active == BUILT_IN and state.previous):
        return _awaiting(state, snapshot, f"{active} was put in force on purpose: a person decides when to go on")
    if active != BUILT_IN and not active.startswith(PREFIX):
        return state
    changed = snapshot.lineage.metrics.get("changed_choices") if snapshot.lineage else None
    if changed is not None and changed > review_beyond:
        return _awaiting(state, snapshot, f"{changed:.0%} of recent choices would change: a person decides")
    return changes.promoted(state, snapshot.policy, Who(ACTOR, f"learned from {snapshot.events} outcomes"))


def _awaiting(state: PolicyState, snapshot: PolicySnapshot, reason: str) -> PolicyState:
    """On the list, instead of the versions of ours that it outdates."""
    current = tuple(name for name in state.awaiting_review if not name.startswith(PREFIX))
    return changes.awaiting(state.model_copy(update={"awaiting_review": current}), snapshot.policy, Who(ACTOR, reason))
