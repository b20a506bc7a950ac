"""What a change makes of a tenant's policy state: pure functions, each from one state to the next. See ``registry``."""

from dataclasses import dataclass

from evolution.errors import ChangedMeanwhile, ExperimentRunning, NoExperiment, PoliciesFrozen, PolicyRefused
from evolution.policies.bucket import BUILT_IN
from schemas.base import now
from schemas.policy_state import EXPLORATION_FLOOR, PolicyExperiment, PolicyState, Preference

KEPT = 50


@dataclass(frozen=True, slots=True)
class Who:
    """Who changes something, and why: both are kept."""

    actor: str
    reason: str = ""


def active_name(state: PolicyState) -> str:
    """The policy in force, by the name that decisions record."""
    return state.active or BUILT_IN


def reference_name(state: PolicyState) -> str:
    """The frozen policy that is always measured beside."""
    return state.reference or BUILT_IN


def promoted(state: PolicyState, policy: str, who: Who) -> PolicyState:
    """With that policy in force. Raises what ``check_promotable`` raises.

    One that was in force before, or has learned nothing, is gone back to on purpose: it is held.
    """
    check_promotable(state, policy)
    ends_experiment = state.experiment is not None and state.experiment.candidate == policy
    return _changed(
        state,
        who,
        active=None if policy == BUILT_IN else policy,
        held=policy == BUILT_IN or policy in state.previous,
        previous=(active_name(state), *state.previous)[:KEPT],
        experiment=None if ends_experiment else state.experiment,
        awaiting_review=tuple(name for name in state.awaiting_review if name != policy),
    )


def check_promotable(state: PolicyState, policy: str) -> None:
    """Raises PoliciesFrozen, PolicyRefused for what is in force, ExperimentRunning when another one is on trial."""
    _thawed(state)
    if policy == active_name(state):
        raise PolicyRefused(f"{policy} is in force already")
    if state.experiment is not None and state.experiment.candidate != policy:
        raise ExperimentRunning(
            f"experiment {state.experiment.name} compares {state.experiment.candidate} with {active_name(state)}: "
            "stop it first (aos experiment stop)"
        )


def rolled_back(state: PolicyState, who: Who) -> PolicyState:
    """With the policy before this one in force, and no experiment. Allowed while frozen: it is the way out."""
    if not state.previous:
        raise PolicyRefused(f"{active_name(state)} is the first policy: there is nothing to go back to")
    before, *older = state.previous
    active = None if before == BUILT_IN else before
    return _changed(state, who, active=active, held=True, previous=tuple(older), experiment=None)


def reset(state: PolicyState, lost: str, who: Who) -> PolicyState:
    """With the prior in force instead of the policy that ``lost``, and no experiment: what it compared with is gone.

    Raises PoliciesFrozen, and ChangedMeanwhile when another policy is in force by now.
    """
    _thawed(state)
    if active_name(state) != lost:
        raise ChangedMeanwhile(f"{active_name(state)} is in force by now, not {lost}: look again")
    previous = (lost, *state.previous)[:KEPT]
    return _changed(state, who, active=None, held=True, previous=previous, experiment=None)


def frozen(state: PolicyState, who: Who, *, frozen: bool) -> PolicyState:
    """With promotions and experiments forbidden, or allowed again. A running experiment stays and decides nothing."""
    return _changed(state, who, frozen=frozen)


def referring(state: PolicyState, policy: str, who: Who) -> PolicyState:
    """With another frozen reference."""
    return _changed(state, who, reference=None if policy == BUILT_IN else policy)


def exploring(state: PolicyState, share: float, who: Who) -> PolicyState:
    """With another share of exploration. Raises PolicyRefused below the floor."""
    if not EXPLORATION_FLOOR <= share <= 1.0:
        raise PolicyRefused(
            f"exploration of {share:.1%} is below the floor of {EXPLORATION_FLOOR:.0%}: newcomers would starve, and no "
            "later policy could be judged on these decisions"
        )
    return _changed(state, who, exploration=share)


def preferring(state: PolicyState, preference: Preference | None, threshold: float | None, who: Who) -> PolicyState:
    """With another thing put first by evolved networks, and another least chance of success; None leaves either."""
    said = {"preference": preference, "quality_threshold": threshold}
    return _changed(state, who, **{name: value for name, value in said.items() if value is not None})


def awaiting(state: PolicyState, policy: str, who: Who) -> PolicyState:
    """With that policy on the list of those that a person has to look at."""
    if policy in state.awaiting_review:
        return state
    return _changed(state, who, awaiting_review=(*state.awaiting_review, policy)[-KEPT:])


def started(state: PolicyState, experiment: PolicyExperiment, who: Who) -> PolicyState:
    """With the experiment sharing traffic. Raises PoliciesFrozen, ExperimentRunning, PolicyRefused."""
    _thawed(state)
    if state.experiment is not None:
        raise ExperimentRunning(f"experiment {state.experiment.name} is running: stop it first (aos experiment stop)")
    if experiment.candidate == active_name(state):
        raise PolicyRefused(f"{experiment.candidate} is in force already: there is nothing to compare it with")
    return _changed(state, who, experiment=experiment)


def widened(state: PolicyState, share: float, who: Who) -> PolicyState:
    """With the canary at that share."""
    experiment = running(state)
    return _changed(state, who, experiment=experiment.model_copy(update={"share": share}))


def stopped(state: PolicyState, who: Who) -> PolicyState:
    """With all traffic at the active policy again; the candidate waits for nobody's review. Raises NoExperiment."""
    trial = running(state)
    awaiting_review = tuple(name for name in state.awaiting_review if name != trial.candidate)
    return _changed(state, who, experiment=None, awaiting_review=awaiting_review)


def running(state: PolicyState) -> PolicyExperiment:
    """The experiment under way. Raises NoExperiment."""
    if state.experiment is None:
        raise NoExperiment(f"no experiment is running for tenant {state.tenant}")
    return state.experiment


def needed(state: PolicyState) -> frozenset[str]:
    """Every version that the state names: in force, to go back to, measured beside, on trial, or awaiting review."""
    trial = (state.experiment.candidate,) if state.experiment is not None else ()
    named = (active_name(state), reference_name(state), *state.previous, *state.awaiting_review, *trial)
    return frozenset(named)


def _thawed(state: PolicyState) -> None:
    if state.frozen:
        raise PoliciesFrozen(
            f"the policies of tenant {state.tenant} are frozen: `aos policy history` says by whom and why, "
            "`aos policy unfreeze` allows promotions again"
        )


def _changed(state: PolicyState, who: Who, **changes: object) -> PolicyState:
    told = {"changed_at": now(), "actor": who.actor[:200], "reason": who.reason[:2_000]}
    return PolicyState.model_validate({**dict(state), **changes, **told})
