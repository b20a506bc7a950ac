"""What speaks against putting a policy in force: pure functions of experience. Called by ``registry`` and ``prior``.

Against a policy of another fleet. Against bias that feeds on itself: a policy that learned from a few clients, a few
agents or only from its own choices; one that changes very much at once; one that is worse than the frozen reference,
than having learned nothing, or than always taking the best single agent.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from evolution.replay.comparing import best_single, changed_choices, difference, spread
from evolution.replay.decision_log import Decisions, Policy
from evolution.replay.policies import always
from schemas.experience import ExperienceRecord
from schemas.policy_state import EXPLORATION_FLOOR

BEST_SINGLE = "best single agent"


@dataclass(frozen=True, slots=True)
class GuardLimits:
    """The stated sizes. Tasks and agents are effective numbers: ten equal ones count 10, one that repeats counts 1."""

    review_beyond: float = 0.3
    tasks_min: float = 10.0
    agents_min: float = 1.5
    exploration_min: float = EXPLORATION_FLOOR
    worse_by: float = 0.0
    """What a policy may be worse than what it is measured beside, in success rate, before it is stopped."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One guard's answer. ``value`` is None when nothing could be measured."""

    guard: str
    ok: bool
    says: str
    value: float | None = None


def change_size(records: Sequence[ExperienceRecord], before: Policy, after: Policy, limits: GuardLimits) -> Finding:
    """How many choices change."""
    changed = changed_choices(records, after, before)
    if changed is None:
        return Finding("size of change", False, "no recent decision shows how much would change")
    says = f"{changed:.1%} of recent choices change; beyond {limits.review_beyond:.0%} a person decides"
    return Finding("size of change", changed <= limits.review_beyond, says, changed)


def known_agents(records: Sequence[ExperienceRecord], standings: Collection[str]) -> tuple[Finding, ...]:
    """Whether the policy is of this fleet; nothing where it names nobody, or nobody was a candidate lately."""
    lately = {candidate.agent_id for record in records for candidate in record.candidates}
    if not standings or not lately:
        return ()
    known = len(lately.intersection(standings))
    says = f"it knows {known} of the {len(lately)} agents that were candidates lately"
    if not known:
        says += "; workers use no policy whose agents are all gone"
    return (Finding("agents", known > 0, says, known / len(lately)),)


def window_findings(training: Sequence[ExperienceRecord], limits: GuardLimits) -> tuple[Finding, ...]:
    """Whether the window that a policy learned from is various enough, and explored."""
    choices = [record for record in training if record.candidates and record.chosen]
    if not choices:
        return (Finding("training window", False, "its experience is not in the store any more: it cannot be checked"),)
    tasks = spread([" ".join(record.instruction.split()).lower() for record in choices])
    agents = spread([record.chosen[0] for record in choices])
    several = [record for record in choices if len(record.candidates) > 1]
    explored = sum(1.0 - max(c.probability for c in record.candidates) for record in several) / max(len(several), 1)
    return (
        Finding(
            "diversity of tasks",
            tasks >= limits.tasks_min,
            f"{tasks:.1f} effective different tasks in {len(choices)}; at least {limits.tasks_min:g} are wanted",
            tasks,
        ),
        Finding(
            "diversity of agents",
            agents >= limits.agents_min,
            f"{agents:.1f} effective agents were tried; at least {limits.agents_min:g} are wanted",
            agents,
        ),
        Finding(
            "exploration",
            not several or explored >= limits.exploration_min,
            f"{explored:.1%} of choices explored; the floor is {limits.exploration_min:.0%}",
            explored,
        ),
    )


def beside(taken: Decisions, policy: Policy, others: Mapping[str, Policy], limits: GuardLimits) -> tuple[Finding, ...]:
    """The policy measured beside others on the same decisions; only a difference that is certain stops it."""
    best = best_single(taken)
    compared = dict(others) | ({f"{BEST_SINGLE} ({best})": always(best)} if best else {})
    found = []
    for name, other in compared.items():
        gain = difference(taken, policy, other)
        if gain is None:
            says = f"beside {name}: the log explores too little to tell; an experiment can"
            found.append(Finding(f"beside {name}", True, says))
            continue
        says = f"beside {name}: success {gain.value:+.1%} (95 % interval {gain.low:+.1%} to {gain.high:+.1%})"
        found.append(Finding(f"beside {name}", gain.high >= -limits.worse_by, says, gain.value))
    return tuple(found)
