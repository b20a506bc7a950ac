"""Forgets agents of whom the past holds no step any more: a policy is no larger for all that came and went.

Whoever learns from scratch, as after a restart, never hears of them either. Called by ``policy``, when steps were
dropped.
"""

import numpy as np

from agents.matching.live.groups import TaskGroups
from agents.matching.live.own_steps import OwnSteps
from agents.matching.live.past import PastTasks
from agents.matching.live.standings import Standings


def forget(past: PastTasks, standings: Standings, groups: TaskGroups, own_steps: OwnSteps) -> None:
    """All of them but the agents in the past, who are numbered anew in the same order. Milliseconds in a long past."""
    agents, numbers = np.unique(past.agents, return_inverse=True)
    present = agents.astype(np.int64)
    if len(present) == len(standings):
        return
    groups.keep(present, len(standings))
    own_steps.keep(present)
    standings.keep(present)
    past.renumber(numbers)
