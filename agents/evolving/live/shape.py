"""What tasks of one kind share exactly, as a digest: their goals but for the words, content, hints. Pure."""

import hashlib
import json
import re

from agents.planning.complexity import Goal, TaskAnalysis
from schemas.parts import Modality
from schemas.task import TaskSubmitted

_WORD = re.compile(r"[^\W\d_]+")
_POLITE = frozenset(
    ["please", "kindly", "also", "finally", "then", "first", "next", "now", "just", "can", "could", "would", "will"]
) | {"you", "help", "me", "us", "i", "want", "need", "to"}


def shape_of(analysis: TaskAnalysis, task: TaskSubmitted, policy: str = "") -> str:
    """Two tasks of different shape are never of one kind: what is asked begins otherwise, or flows otherwise.

    Nor are tasks that different routing ``policy``s decide, or the arms of an experiment would share their plans.
    """
    said = [
        [_goal(goal) for goal in analysis.goals],
        _listed(analysis.content),
        task.routing.model_dump(mode="json"),
        task.requires_approval,
        policy,
    ]
    return hashlib.blake2b(json.dumps(said, sort_keys=True).encode(), digest_size=12).hexdigest()


def _goal(goal: Goal) -> list[object]:
    return [verb_of(goal.text), goal.wants, goal.depends_on_previous, goal.gathers, _listed(goal.about)]


def verb_of(text: str) -> str:
    """The word that says what to do: the first that is not politeness."""
    words = (word.lower() for word in _WORD.findall(text))
    return next((word for word in words if word not in _POLITE), "")


def _listed(kinds: frozenset[Modality]) -> list[str]:
    return sorted(kind.value for kind in kinds)
