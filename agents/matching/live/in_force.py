"""What a tenant's state says is in force, and for which task. Pure; called by ``feed``."""

from schemas.assignment import TREATMENT, arm_of
from schemas.policy_state import PolicyState


def policy_for(state: PolicyState, task_id: str | None) -> str | None:
    """The policy that decides the task: an experiment sends its share to the candidate. None: the built-in one."""
    experiment = state.experiment
    if experiment is None or task_id is None:
        return state.active
    arm = arm_of(experiment.salt or experiment.name, task_id, experiment.share)
    return experiment.candidate if arm == TREATMENT else state.active


def in_use(state: PolicyState) -> tuple[str, ...]:
    """All that a state names."""
    named = (state.active, state.experiment.candidate if state.experiment else None)
    return tuple(policy for policy in named if policy is not None)
