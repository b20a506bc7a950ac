"""Which policies of a tenant are in force: the one small record that workers watch and people change.

It lies in the bucket ``aos_policy`` under ``<tenant>.state``; the versions themselves lie beside it, each under
``<tenant>.v-<policy>``, and are never changed. Written with compare-and-set, so two people cannot undo each other.
"""

from typing import Literal

from pydantic import Field

from schemas.base import Message, Moment, Share, Token, now

Preference = Literal["quality", "cost", "latency"]

EXPLORATION_FLOOR = 0.01
"""Least share of tasks that explore: below it a policy learns only from its own choices, and cannot be judged."""


class PolicyExperiment(Message):
    """Two policies that share a tenant's traffic by a hash of the task id."""

    name: Token
    candidate: str = Field(description="the policy on trial; the control is the active one")
    share: Share = Field(description="of the tasks that go to the candidate: the canary")
    salt: str = Field(default="", description="makes the split of one experiment independent of another's")
    since: Moment = Field(default_factory=now)
    automatic: bool = Field(default=True, description="promote or roll back when the sequential test says so")


class PolicyState(Message):
    """What applies now. No record at all means the built-in policy, no experiment, not frozen."""

    tenant: Token
    active: str | None = Field(default=None, description="policy in force; none: the built-in cosine-1")
    previous: tuple[str, ...] = Field(default=(), max_length=50, description="for rollback, latest first")
    reference: str | None = Field(default=None, description="the frozen policy that is always measured beside")
    held: bool = Field(
        default=False, description="somebody went back to the active policy: what is learned waits until a promotion"
    )
    frozen: bool = Field(default=False, description="nothing is promoted while it is")
    experiment: PolicyExperiment | None = None
    awaiting_review: tuple[str, ...] = Field(
        default=(), max_length=50, description="policies whose change is so large that a person has to promote them"
    )
    exploration: Share = Field(default=0.05, description="most of the tasks that may go to another than the best agent")
    preference: Preference | None = Field(
        default=None, description="what evolved networks put first; none: as the deployment is set"
    )
    quality_threshold: Share | None = Field(
        default=None,
        description="promised chance of success below which a task is refused; none: as the deployment is set",
    )
    changed_at: Moment = Field(default_factory=now)
    actor: str = Field(default="", max_length=200, description="who changed it: a person or 'aos-evolution'")
    reason: str = Field(default="", max_length=2_000)


class PriorComparison(Message):
    """The policy in force beside having learned nothing, as it was last measured. Kept under ``<tenant>.prior``."""

    tenant: Token
    policy: str = Field(description="the one that was in force")
    prior: str = Field(description="the one that has learned nothing")
    at: Moment = Field(default_factory=now)
    records: int = Field(ge=0, description="recent tasks that were looked at")
    gain: float | None = Field(default=None, description="in success rate over the prior; none: it cannot be told")
    says: str = Field(max_length=2_000, description="in words, with the interval")
    reset: bool = Field(default=False, description="the policy was certainly worse: the prior is in force again")
