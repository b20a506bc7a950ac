"""Whether a new version comes into force by itself. Pure; called by ``publishing``.

What a person decided is never undone: nothing is promoted while policies are frozen, while an experiment runs, after
somebody went back to an earlier policy, or when so many choices would change that a person has to look first, or when
it learned from a few tasks or agents only. All of that stands in the state: a restart forgets nothing, and any number
of learners come to the same.
"""

from collections.abc import Mapping

from evolution.policies import changes
from evolution.policies.bucket import BUILT_IN
from evolution.policies.changes import Who, active_name
from evolution.policies.guards import GuardLimits
from schemas.policy import PolicySnapshot
from schemas.policy_state import PolicyState

ACTOR = "aos-evolution"
PREFIX = "learned-"
EFFECTIVE_TASKS, EFFECTIVE_AGENTS = "effective_tasks", "effective_agents"


def state_after(state: PolicyState, snapshot: PolicySnapshot, review_beyond: float) -> PolicyState:
    """The state once the version is there: with it in force, awaiting review, or the very same."""
    if state.frozen or state.experiment is not None:
        return state
    active = active_name(state)
    if state.held:
        return _awaiting(state, snapshot, f"{active} was put in force on purpose: a person decides when to go on")
    if active != BUILT_IN and not active.startswith(PREFIX):
        return state
    metrics = snapshot.lineage.metrics if snapshot.lineage else {}
    narrow = _narrow(metrics)
    if narrow:
        return _awaiting(state, snapshot, f"it learned from {narrow}: a person decides")
    changed = metrics.get("changed_choices")
    if changed is not None and changed > review_beyond:
        return _awaiting(state, snapshot, f"{changed:.0%} of recent choices would change: a person decides")
    return changes.promoted(state, snapshot.policy, Who(ACTOR, f"learned from {snapshot.events} outcomes"))


def _narrow(metrics: Mapping[str, float]) -> str:
    """What its experience was too narrow in; empty when it was various enough. The bounds are the guards' own."""
    limits = GuardLimits()
    bounds = {EFFECTIVE_TASKS: limits.tasks_min, EFFECTIVE_AGENTS: limits.agents_min}
    too_few = [name for name, least in bounds.items() if metrics.get(name, least) < least]
    return " and ".join(f"{metrics[name]:.1f} {name.replace('_', ' ')}" for name in too_few)


def _awaiting(state: PolicyState, snapshot: PolicySnapshot, reason: str) -> PolicyState:
    """On the list, instead of the versions of ours that it outdates."""
    current = tuple(name for name in state.awaiting_review if not name.startswith(PREFIX))
    return changes.awaiting(state.model_copy(update={"awaiting_review": current}), snapshot.policy, Who(ACTOR, reason))
