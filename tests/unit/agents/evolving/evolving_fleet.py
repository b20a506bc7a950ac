"""A small fleet for the tests of evolving: pictures become text, text becomes summaries, sounds or tables."""

import numpy as np

from agents.evolving.objectives import WEIGHTS, Preference, Problem, problem_of
from agents.evolving.quality import GoalQuality
from agents.evolving.space import Space, space_of
from agents.planning.offers import Offer
from schemas.parts import Modality

TEXT, IMAGE, AUDIO, TABLE = Modality.TEXT, Modality.IMAGE, Modality.AUDIO, Modality.TABLE


def offer(name, reads, makes, requires=(), cost=1.0):
    return Offer(name, "work", frozenset(reads), frozenset(requires), frozenset(makes), cost=cost)


READER = offer("reader", [IMAGE, TEXT], [TEXT], requires=[IMAGE])
SUMMARY = offer("summary", [TEXT], [TEXT])
SPEAKER = offer("speaker", [TEXT], [AUDIO])
TABULATOR = offer("tabulator", [TEXT], [TABLE])
PLOTTER = offer("plotter", [TABLE], [IMAGE], requires=[TABLE])
LISTENER = offer("listener", [AUDIO], [TEXT], requires=[AUDIO])
FLEET = (READER, SUMMARY, SPEAKER, TABULATOR, PLOTTER, LISTENER)


def space(task=(IMAGE,), wanted=(AUDIO,), fleet=FLEET) -> Space:
    return space_of(fleet, [100.0] * len(fleet), task=frozenset(task), wanted=frozenset(wanted))


def problem(where: Space, goals: int = 2, seed: int = 0) -> Problem:
    rng = np.random.default_rng(seed)
    predictor = GoalQuality(
        rng.normal(-1.0, 2.0, (len(where), goals)),
        rng.normal(0.0, 1.0, (len(where), len(where))),
        np.full(goals, 1.0 / goals),
        np.array([-1, *range(goals - 1)]),
    )
    return problem_of(where, predictor, WEIGHTS[Preference.QUALITY], goals)
