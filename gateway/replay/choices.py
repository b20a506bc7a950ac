"""How a policy version chooses among a record's candidates: by the very code that workers use. Called by replay.

The evolution layer does not know rankers, and agents do not know replay; here they meet. What a version remembers of
the very task that is asked again is left out: else it would be praised for having seen the answer.
"""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from agents.matching.live.features import Shown
from agents.matching.live.policy import LivePolicy
from agents.matching.live.snapshots import policy_of
from agents.matching.ranking import CosineRanker, nearness_of
from agents.ports.matching import Ranker
from agents.ports.skill_index import SkillHit
from evolution.errors import PolicyDamaged
from evolution.replay.decision_log import Policy
from evolution.replay.rerunning import unit_vector
from schemas.candidate import Candidate
from schemas.card import AgentCard, NatsEndpoint, Skill
from schemas.experience import ExperienceRecord
from schemas.parts import BlobRef, Modality
from schemas.policy import PolicySnapshot, PolicyUnreadable
from tensor_layer.errors import TensorLayerError
from tensor_layer.ports import Blobs

DENSE, EXAMPLE, WORDS, LOAD = "dense", "example", "words", "load"
"""The names under which workers record a candidate's plain similarities, whatever ranked it."""


class WorkerChoices:
    """evolution.policies.registry.Choices. ``blobs`` hold what is too large for a version's file."""

    def __init__(self, blobs: Blobs | None = None) -> None:
        self._blobs = blobs

    async def __call__(self, snapshot: PolicySnapshot | None) -> Policy:
        """No snapshot is the built-in cosine policy. Raises PolicyDamaged when a part of the version is missing."""
        if snapshot is None:
            return ranked_by(CosineRanker())
        return remembering(snapshot, {name: await self._part(snapshot, name) for name in snapshot.artefacts})

    async def _part(self, snapshot: PolicySnapshot, name: str) -> bytes:
        if self._blobs is None:
            raise PolicyDamaged(f"{snapshot.policy} keeps its {name} in the object store, which is not at hand here")
        try:
            return await self._blobs.get(BlobRef(digest=snapshot.artefacts[name], size_bytes=0))
        except (TensorLayerError, ValueError) as error:
            raise PolicyDamaged(f"the {name} of {snapshot.policy} cannot be read: {error}") from error


def ranked_by(ranker: Ranker) -> Policy:
    """The first of the ranker's order, always. Scores are taken again from the recorded similarities."""

    def policy(record: ExperienceRecord) -> Sequence[float]:
        hits = [_hit(candidate) for candidate in record.candidates]
        cards = {candidate.agent_id: _card(candidate.agent_id, candidate.skill_id) for candidate in record.candidates}
        best = ranker.rank(hits, cards)[0].agent_id
        return [float(candidate.agent_id == best) for candidate in record.candidates]

    return policy


def _hit(candidate: Candidate) -> SkillHit:
    scores = candidate.scores
    dense = scores.get(DENSE, candidate.score)
    return SkillHit(candidate.agent_id, candidate.skill_id, dense, example_similarity=scores.get(EXAMPLE))


def remembering(snapshot: PolicySnapshot, parts: dict[str, bytes]) -> Policy:
    """The candidate with the best learned chance, always. Tasks without a vector go to the nearest skill."""
    nearest = ranked_by(CosineRanker())
    loaded: dict[int, LivePolicy] = {}

    def policy(record: ExperienceRecord) -> Sequence[float]:
        vector = unit_vector(record)
        if vector is None:
            return nearest(record)
        if not loaded:
            loaded[len(vector)] = _loaded(snapshot, parts, len(vector))
        live = loaded.get(len(vector))
        if live is None:
            return nearest(record)
        if len(record.candidates) == 1:
            return [1.0]
        found = _chances(live, record, vector)
        best = max(range(len(found)), key=lambda at: (found[at], record.candidates[at].scores.get(DENSE, 0.0)))
        return [float(place == best) for place in range(len(found))]

    return policy


def _loaded(snapshot: PolicySnapshot, parts: dict[str, bytes], dimension: int) -> LivePolicy:
    try:
        return policy_of(snapshot, parts, dimension)
    except PolicyUnreadable as error:
        raise PolicyDamaged(f"{snapshot.policy} cannot be used on this experience: {error}") from error


def _chances(live: LivePolicy, record: ExperienceRecord, vector: NDArray[np.float32]) -> list[float]:
    """Of every candidate, by other tasks than this. Where no load was recorded, it counts as none."""
    shown = Shown(
        np.array([_nearness(one) for one in record.candidates], dtype=np.float32),
        np.array([one.scores.get(WORDS, 0.0) for one in record.candidates], dtype=np.float32),
        np.array([one.scores.get(LOAD, 0.0) for one in record.candidates], dtype=np.float32),
    )
    ids = [candidate.agent_id for candidate in record.candidates]
    return [float(one) for one in live.judge(vector, ids, shown, apart_from=record.task_id).chances]


@lru_cache(maxsize=10_000)
def _card(agent_id: str, skill_id: str) -> AgentCard:
    """As much of a card as a ranker looks at; what the agent's card said then is not recorded. Not validated: many."""
    skill = Skill.model_construct(
        id=skill_id, description="as recorded", inputs=(Modality.TEXT,), outputs=(Modality.TEXT,)
    )
    return AgentCard.model_construct(
        id=agent_id, version="0.0.0", description="as recorded", skills=(skill,), endpoint=_ENDPOINT
    )


_ENDPOINT = NatsEndpoint()


def _nearness(candidate: Candidate) -> float:
    found = nearness_of(candidate)
    return candidate.score if found is None else found
