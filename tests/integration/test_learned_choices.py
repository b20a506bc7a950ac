"""A learned version with its parts in a real object store, asked as replay asks it: by the code that workers use."""

from pathlib import Path

import numpy as np
import pytest

from agents.matching.live.learner import Learner
from agents.matching.live.policy import LivePolicy, Outcome
from agents.matching.live.snapshots import Title, artefacts_of, snapshot_of
from evolution.errors import PolicyDamaged
from evolution.replay.rerunning import unit_vector
from gateway.replay.choices import WorkerChoices
from schemas.policy import Lineage, PolicySnapshot
from tensor_layer.storage.blobs import ObstoreBlobs
from tests.unit.evolution.a_week import AGENTS, KINDS, STRENGTH, a_week


@pytest.fixture
def blobs(tmp_path: Path) -> ObstoreBlobs:
    return ObstoreBlobs.from_url(tmp_path.as_uri())


def taught(records) -> LivePolicy:
    """What a learner makes of the records."""
    learner = Learner(LivePolicy.blank(16))
    for record in records:
        outcome = Outcome(record.task_id, record.chosen[0], unit_vector(record), float(record.success))
        learner.learn(outcome)
    learner.fit()
    return learner.policy


async def stored(policy: LivePolicy, blobs: ObstoreBlobs) -> PolicySnapshot:
    digests = {name: (await blobs.put_bytes(part)).digest for name, part in artefacts_of(policy).items()}
    return snapshot_of(policy, Title("learned-x", None, "test-1", Lineage()), digests)


def strongest(record) -> str:
    [kind] = [place for place, words in enumerate(KINDS) if record.instruction.startswith(words[:10])]
    return max(AGENTS, key=lambda agent: STRENGTH[agent][kind])


async def test_a_version_with_its_past_finds_the_strong_agents_and_beats_cosine_on_other_tasks(blobs):
    week = a_week(1400)
    before, after = week[:400], week[400:700]
    policy = await WorkerChoices(blobs)(await stored(taught(before), blobs))
    chosen = [AGENTS[list(policy(record)).index(1.0)] for record in after]
    right = np.mean([agent == strongest(record) for agent, record in zip(chosen, after, strict=True)])
    assert right > 0.8
    cosine = await WorkerChoices()(None)
    nearest = [AGENTS[list(cosine(record)).index(1.0)] for record in after]
    assert right > 0.3 + np.mean([agent == strongest(record) for agent, record in zip(nearest, after, strict=True)])


async def test_the_outcome_of_the_very_task_that_is_asked_again_does_not_help(blobs):
    week = a_week(60)
    others = await WorkerChoices(blobs)(await stored(taught(week), blobs))
    twice = taught(week)
    for _ in range(50):
        twice.learn(Outcome(week[0].task_id, "novice", unit_vector(week[0]), 1.0))
    whole = await WorkerChoices(blobs)(await stored(twice, blobs))
    stranger = week[0].model_copy(update={"task_id": "another", "record_id": "another"})
    assert AGENTS[list(whole(stranger)).index(1.0)] == "novice"
    assert list(others(week[0])) == list(whole(week[0]))


async def test_parts_that_are_missing_or_of_another_size_are_said(blobs):
    snapshot = await stored(taught(a_week(30)), blobs)
    with pytest.raises(PolicyDamaged, match="not at hand here"):
        await WorkerChoices()(snapshot)
    lost = snapshot.model_copy(update={"artefacts": {"past-outcomes": "sha256:" + "0" * 64}})
    with pytest.raises(PolicyDamaged, match="cannot be read"):
        await WorkerChoices(blobs)(lost)


async def test_a_task_without_a_vector_goes_to_the_nearest_skill(blobs):
    week = a_week(30)
    policy = await WorkerChoices(blobs)(await stored(taught(week), blobs))
    unseen = week[0].model_copy(update={"vector": None})
    best = max(unseen.candidates, key=lambda candidate: candidate.score).agent_id
    assert AGENTS[list(policy(unseen)).index(1.0)] == best


async def test_where_there_is_one_candidate_there_is_no_choice_but_damage_is_said_all_the_same(blobs):
    week = a_week(30)
    snapshot = await stored(taught(week), blobs)
    alone = week[0].model_copy(update={"candidates": week[0].candidates[:1]})
    assert list((await WorkerChoices(blobs)(snapshot))(alone)) == [1.0]
    vectors = next(name for name in snapshot.artefacts if name.startswith("past-vectors"))
    wrong = (await blobs.put_bytes(b"no array")).digest
    damaged = snapshot.model_copy(update={"artefacts": snapshot.artefacts | {vectors: wrong}})
    with pytest.raises(PolicyDamaged, match="damaged"):
        (await WorkerChoices(blobs)(damaged))(alone)
