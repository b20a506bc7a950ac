"""What people say of results becomes a number, and words alone do not."""

import pytest

from evolution.judging import judgements, latest, rewards
from evolution.store.memory_store import MemoryExperienceStore
from tests.unit.evolution.experience_records import a_failure, a_feedback, a_record


@pytest.mark.parametrize(
    ("opinion", "judgement"),
    [
        ({"thumbs_up": True}, 1.0),
        ({"thumbs_up": False}, 0.0),
        ({"thumbs_up": None, "score": 0.25}, 0.25),
        ({"thumbs_up": True, "score": 0.0}, 0.0),
        ({"thumbs_up": None}, None),
    ],
)
def test_a_score_says_more_than_a_thumb_and_words_say_nothing(opinion, judgement):
    assert a_feedback("t", **opinion).judgement == judgement


def test_of_several_judgements_the_latest_counts():
    early, late = a_feedback("t", thumbs_up=False), a_feedback("t", minutes=5, thumbs_up=None, score=0.75)
    assert latest([early, late, a_feedback("t", minutes=9, thumbs_up=None)]) == 0.75
    assert latest([late, early]) == 0.0
    assert latest([]) is None


async def test_a_task_earns_what_was_said_of_it_else_its_own_success():
    store = MemoryExperienceStore()
    records = [a_record("a"), a_record("b"), a_failure("c"), a_record("a", tenant="other")]
    await store.add_feedback([a_feedback("a", thumbs_up=False), a_feedback("c", score=0.5), a_feedback("x")])
    earned = await rewards(store, records)
    assert [earned(record) for record in records] == [0.0, 1.0, 0.5, 1.0]
    assert await judgements(store, "default", ["a", "b", "c"]) == {"a": 0.0, "c": 0.5}
    assert await judgements(store, "default", []) == {}
