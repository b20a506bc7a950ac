"""What states of policies say in words: what a policy is, what a change did, who froze, how an experiment ended."""

from collections.abc import Iterator, Sequence
from itertools import pairwise

from evolution.policies.changes import active_name, reference_name
from schemas.policy_state import PolicyExperiment, PolicyState


def roles_of(state: PolicyState, policy: str) -> tuple[str, ...]:
    """What the policy is just now."""
    experiment = state.experiment
    roles = {
        "active": policy == active_name(state),
        "reference": policy == reference_name(state),
        f"candidate of {experiment.name} at {experiment.share:.0%}" if experiment else "": experiment is not None
        and policy == experiment.candidate,
        "awaits review": policy in state.awaiting_review,
        "previous": policy in state.previous[:1],
    }
    return tuple(name for name, holds in roles.items() if holds)


def told(changes: Sequence[PolicyState]) -> list[str]:
    """What each change did, of states oldest first; the first is compared with nothing ever changed."""
    if not changes:
        return []
    before = (PolicyState(tenant=changes[0].tenant), *changes)
    return ["; ".join(_differences(one, other)) for one, other in zip(before, changes, strict=False)]


def freezing(changes: Sequence[PolicyState]) -> PolicyState | None:
    """The change that froze what is frozen now, of states oldest first; None when nothing is."""
    found = None
    for state in changes:
        found = (found or state) if state.frozen else None
    return found


def last_trial(changes: Sequence[PolicyState]) -> tuple[PolicyExperiment, PolicyState] | None:
    """The experiment that ended last and the state that ended it, of states oldest first; None when none ended."""
    for before, after in reversed(list(pairwise(changes))):
        trial = before.experiment
        if trial is not None and _ended(trial, after.experiment):
            return trial, after
    return None


def _ended(then: PolicyExperiment, now: PolicyExperiment | None) -> bool:
    return now is None or now.name != then.name or now.since != then.since


def _differences(before: PolicyState, after: PolicyState) -> Iterator[str]:
    if active_name(before) != active_name(after):
        yield f"{active_name(after)} in force"
    if before.frozen != after.frozen:
        yield "frozen" if after.frozen else "unfrozen"
    yield from _trials(before, after)
    if reference_name(before) != reference_name(after):
        yield f"reference {reference_name(after)}"
    if before.exploration != after.exploration:
        yield f"exploration {after.exploration:.0%}"
    if before.preference != after.preference:
        yield f"{after.preference} first"
    if before.quality_threshold != after.quality_threshold:
        yield f"refuses below {after.quality_threshold:.0%}"
    yield from (f"{name} awaits review" for name in after.awaiting_review if name not in before.awaiting_review)


def _trials(before: PolicyState, after: PolicyState) -> Iterator[str]:
    then, now = before.experiment, after.experiment
    if then is not None and _ended(then, now):
        yield f"{then.name} ended"
        then = None
    if now is not None and (then is None or then.share != now.share):
        yield f"{now.name}: {now.share:.0%} to {now.candidate}"
