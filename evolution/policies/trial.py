"""The running experiment as the records tell it: its stages, their tallies, and what follows. Called by ``loop``.

Nothing has to be remembered between two looks: the shares of the canary and when they began are read from the bucket's
history, the outcomes and what people said of them from the experience store. So any process may look, and a restart
forgets nothing. What was counted before may be remembered (``trial_memory``): then only what is new is read.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from evolution.experiments.deciding import Design, Verdict, decide
from evolution.experiments.tallies import Arms, Stage
from evolution.policies.changes import active_name
from evolution.policies.trial_count import Count
from evolution.policies.trial_memory import TrialMemory
from evolution.policies.trial_recent import Recent
from evolution.policies.trial_spans import spans_of
from evolution.ports import ExperienceStore
from schemas.assignment import CONTROL, TREATMENT
from schemas.policy_state import PolicyExperiment, PolicyState


@dataclass(frozen=True, slots=True)
class Progress:
    """How an experiment stands. Stages begin with the narrowest canary."""

    experiment: PolicyExperiment
    control: str
    stages: tuple[Stage, ...]
    verdict: Verdict

    @property
    def tasks(self) -> dict[str, int]:
        """How many tasks each arm had."""
        return {arm: sum(stage.count(arm) for stage in self.stages) for arm in (TREATMENT, CONTROL)}


def design_of(design: Design, state: PolicyState, experiment: PolicyExperiment) -> Design:
    """The general design for this experiment: its arms, and no canary narrower than the one it began with."""
    wider = tuple(share for share in design.shares if share > experiment.share)
    return replace(
        design,
        experiment_id=experiment.name,
        control=active_name(state),
        treatment=experiment.candidate,
        shares=(experiment.share, *wider),
    )


async def progress(
    store: ExperienceStore,
    state: PolicyState,
    changes: Sequence[PolicyState],
    design: Design,
    changed: float = 0.0,
    memory: TrialMemory | None = None,
    recent: Recent | None = None,
) -> Progress | None:
    """How the tenant's experiment stands now; None when there is none. ``changed`` is the share of changed choices.

    With ``memory`` a look counts only what ended since the one before, and the hour before that: it may come late. With
    the ``recent`` of the looks before it reads only what was stored since. What came later still is found when all is
    counted again: once a day, and whenever the verdict is another one.
    What people said of the latest tasks counts at each look.
    Raises ExperienceStoreUnavailable.
    """
    experiment = state.experiment
    if experiment is None:
        return None
    spans = spans_of(experiment, changes)
    own = design_of(design, state, experiment)
    arms = Arms(experiment.salt or experiment.name, own.control, own.treatment)
    count = Count(store, state.tenant, spans, arms, memory, recent or Recent())
    stages, verdict = await count.look(lambda stages: decide(own, stages, changed=changed))
    return Progress(experiment, own.control, stages, verdict)
