"""Orders candidates by their learned chance of success. ports.PolicyRanker over one policy; called by the matcher.

Scores are chances, 0 to 1. The threshold is the chance of an unproven agent whose card is just near enough, so with
nothing learned of the task everything is as the plain order has it. What failed is never what makes a task refused:
only cards that are too far are, and then what succeeded at tasks like it speaks for an agent all the same.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agents.matching.live.exploring import affordable, best_probabilities, hopeful_third, propensities, shortlisted
from agents.matching.live.features import KINDRED, NAMES, Shown
from agents.matching.live.policy import Judged, LivePolicy
from agents.matching.ranking import SCORE_DIGITS, CosineRanker, doubt_at
from agents.ports.matching import Ranked
from agents.ports.skill_index import SkillHit
from schemas.candidate import Candidate, Counted
from schemas.card import AgentCard
from tensor_layer.ports import Vector

Floats = NDArray[np.float32]

NOMINEES = 8
PROVEN = 0.7
"""So much good evidence of the kind, and the agent is looked at however far its card is."""
FAMILIAR_COSINE = 0.45
"""Of the most alike past task: below it, what was learned says nothing about a task that no card is near. Of training
queries held out (clinc150 and metatool, seed 0) 44 and 22 % are that near to one of 60 past ones, 92 and 86 % to one of
1,000; of the other set's queries, which nobody serves, 2 and 2 %, 15 and 25 %."""
COUNTED_TOLD = 5
DENSE, WORDS, LOAD, LEARNED = "dense", "words", "load", "learned"


@dataclass(frozen=True, slots=True, eq=False)
class LearnedOrder:
    """ports.PolicyRanker. As current as the policy it reads; for one thread."""

    policy: str
    live: LivePolicy

    def nominees(self, vector: Vector) -> tuple[str, ...]:
        """Agents that did well at tasks like this, the best proven first."""
        live = self.live
        evidence = live.past.evidence(live.near(vector), KINDRED, len(live.standings))
        good = np.flatnonzero((evidence.successes > PROVEN) & (evidence.successes > evidence.failures))
        best = good[np.argsort(-evidence.successes[good], kind="stable")][:NOMINEES]
        agents = live.standings.agents
        return tuple(agents[number] for number in best)

    def rank(
        self, vector: Vector, hits: Sequence[SkillHit], cards: dict[str, AgentCard], load: Callable[[str], float],
        bound: float, threshold: float | None, limit: int,
    ) -> Ranked:  # fmt: skip
        """One candidate for each agent, best first."""
        found = CosineRanker().rank(hits, cards)
        if not found:
            return Ranked((), threshold or 0.0, 1.0, threshold is not None)
        if threshold is not None and found[0].score < threshold and self.live.near(vector).likest < FAMILIAR_COSINE:
            # Nobody claims it, and nothing like it was ever done: what was learned of other tasks is no reason to try.
            return Ranked(found, threshold, doubt_at(found[0].score), abstained=True)
        words = {(hit.agent_id, hit.skill_id): hit.lexical for hit in hits}
        shown = Shown(
            np.array([one.score for one in found], dtype=np.float32),
            np.array([words[one.agent_id, one.skill_id] for one in found], dtype=np.float32),
            np.array([load(one.agent_id) for one in found], dtype=np.float32),
        )
        judged = self.live.judge(vector, [one.agent_id for one in found], shown)
        order = sorted(range(len(found)), key=lambda at: (-float(judged.chances[at]), -found[at].score))
        best = best_probabilities(judged.chances[order], judged.amount[order], judged.laid.steps[order])
        places = shortlisted(best, limit)
        if bound > 0.0:  # whoever explores nothing tries nobody as a stand-in either
            places = [places[at] for at in hopeful_third(best[places])]
        worth = affordable(bound, float(judged.chances[order[0]]))
        shares = propensities(best[places] / best[places].sum(), worth)
        candidates = tuple(
            _candidate(found[order[place]], judged, order[place], shown, float(share))
            for place, share in zip(places, shares, strict=True)
        )
        return self._decided(candidates, shown, judged, threshold)

    def _decided(
        self, candidates: tuple[Candidate, ...], shown: Shown, judged: Judged, threshold: float | None
    ) -> Ranked:
        doubt = float(np.prod(1.0 - judged.chances))
        if threshold is None:
            return Ranked(candidates, 0.0, doubt, abstained=False)
        least = self._just_near_enough(threshold)
        near = bool((shown.similarity >= threshold).any())
        if near:
            # Somebody claims it: past failures make it a bad bet, never a refusal that nothing could ever end.
            least = min([least, *(one.score for one in candidates if one.scores[DENSE] >= threshold)])
        return Ranked(candidates, least, doubt, abstained=not near and candidates[0].score < least)

    def _just_near_enough(self, threshold: float) -> float:
        one = np.array([threshold], dtype=np.float32)
        zero = np.zeros(1, dtype=np.float32)
        nothing = np.zeros(self.live.past.dimension, dtype=np.float32)
        judged = self.live.forgetful().judge(nothing, ("",), Shown(one, zero, zero))
        return round(float(judged.chances[0]), SCORE_DIGITS)

    def explained(self, vector: Vector, candidates: Sequence[Candidate]) -> tuple[Candidate, ...]:
        """The same with features, their contributions and the past tasks that counted."""
        if not candidates:
            return ()
        shown = Shown(
            *(
                np.array([one.scores.get(name, 0.0) for one in candidates], dtype=np.float32)
                for name in (DENSE, WORDS, LOAD)
            )
        )
        judged = self.live.judge(vector, [one.agent_id for one in candidates], shown)
        return tuple(
            one.model_copy(
                update={
                    "features": _named(judged.laid.rows[at]),
                    "contributions": _named(judged.laid.rows[at] * self.live.weights.astype(np.float32)),
                    "counted": self._counted(vector, one.agent_id),
                }
            )
            for at, one in enumerate(candidates)
        )

    def _counted(self, vector: Vector, agent_id: str) -> tuple[Counted, ...]:
        past, number = self.live.past, self.live.standings.number(agent_id)
        near = self.live.near(vector)
        weights = np.where(past.agents[near.rows] == number, past.weights(near, KINDRED), 0.0)
        most = [at for at in np.argsort(-weights, kind="stable")[:COUNTED_TOLD] if weights[at] > 0.01]
        rows = near.rows[most]
        return tuple(
            Counted(task_id=past.task_ids[row], outcome=float(past.outcomes[row]), weight=round(float(weights[at]), 4))
            for at, row in zip(most, rows, strict=True)
        )


def _candidate(one: Candidate, judged: Judged, at: int, shown: Shown, share: float) -> Candidate:
    chance = round(float(judged.chances[at]), SCORE_DIGITS)
    amount, load = float(judged.amount[at]), float(shown.load[at])
    scores = {DENSE: one.score, WORDS: round(float(shown.words[at]), 4), LEARNED: chance}
    proof = f"{amount:.1f} tasks of this kind behind it" if amount >= 0.5 else "not tried at this kind of task yet"
    return one.model_copy(
        update={
            "score": chance,
            "scores": scores | ({LOAD: round(load, 4)} if load else {}),
            "probability": min(1.0, max(0.0, share)),
            "reasons": (*one.reasons, f"does it well with {chance:.0%} ({proof})"),
        }
    )


def _named(row: Floats) -> dict[str, float]:
    return {name: round(float(value), 4) for name, value in zip(NAMES, row, strict=True)}
