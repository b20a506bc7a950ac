"""Which arm of an experiment a task belongs to: a hash, so that every process agrees without asking.

Called by routing for every task, and by the evolution layer to check the split. Here because both need the very same.
"""

import hashlib

TREATMENT = "treatment"
CONTROL = "control"

_UNIT = 2.0**64


def arm_of(experiment_id: str, task_id: str, treatment_share: float) -> str:
    """TREATMENT for ``treatment_share`` of all tasks, else CONTROL.

    The same task gets the same arm in every process and on every retry. A larger share keeps every task that was in
    treatment there. Different experiments split independently of one another.
    """
    if not 0.0 <= treatment_share <= 1.0:
        raise ValueError(f"treatment_share is {treatment_share}; it must lie in [0, 1]")
    return TREATMENT if position(experiment_id, task_id) < treatment_share else CONTROL


def position(experiment_id: str, task_id: str) -> float:
    """Where the task lies in [0, 1), uniform over tasks."""
    digest = hashlib.blake2b(f"{experiment_id}\x00{task_id}".encode(), digest_size=8).digest()
    return int.from_bytes(digest) / _UNIT
