"""What the recorder makes of messages: a verdict for each, in order, and nothing kept that should not be."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from evolution.errors import ExperienceRefused, ExperienceStoreUnavailable
from evolution.ports import ExperienceQuery
from evolution.recording import KEPT, Arrival, Fate, Recorder
from evolution.store.memory_store import MemoryExperienceStore
from tests.unit.evolution.experience_records import MOMENT, a_feedback, a_record, said_of

EXPERIENCE, FEEDBACK = "aos.default.experience", "aos.default.feedback"


def arrival(item, subject=EXPERIENCE) -> Arrival:
    return Arrival(subject, item.model_dump_json().encode())


def recorder(store) -> Recorder:
    return Recorder(store, clock=lambda: MOMENT + timedelta(hours=1))


async def test_every_message_gets_its_verdict_in_order():
    store = MemoryExperienceStore()
    record, feedback = a_record("a"), a_feedback("a")
    verdicts = await recorder(store).record(
        [arrival(record), Arrival(EXPERIENCE, b"?"), arrival(feedback, FEEDBACK), arrival(record)]
    )
    assert [verdict.fate for verdict in verdicts] == [Fate.KEPT, Fate.REFUSED, Fate.KEPT, Fate.KEPT]
    assert await store.find(ExperienceQuery()) == [record]
    assert await said_of(store, "default", "a") == [feedback]


async def test_the_reason_names_the_fields_but_not_all_of_a_hundred():
    [verdict] = await recorder(MemoryExperienceStore()).record([Arrival(EXPERIENCE, b'{"cost": -1, "x": 1}')])
    assert "record_id: Field required" in verdict.reason
    assert "more" in verdict.reason


async def test_a_refused_record_says_whose_it_was_and_what_number_was_wrong():
    payload = a_record("a").model_dump_json().replace('"latency_ms":', '"latency_ms":-5,"was":', 1).encode()
    [verdict] = await recorder(MemoryExperienceStore()).record([Arrival(EXPERIENCE, payload)])
    assert verdict.task_id == a_record("a").task_id
    assert "latency_ms: Input should be greater than or equal to 0, not -5" in verdict.reason


@pytest.mark.parametrize("payload", [b"", b"null", b"[1]", b'{"task_id": 7}', b'{"task_id": "a b"}', b"[" * 100_000])
async def test_a_message_that_does_not_say_whose_it_is_belongs_to_nobody(payload):
    [verdict] = await recorder(MemoryExperienceStore()).record([Arrival(EXPERIENCE, payload)])
    assert (verdict.fate, verdict.task_id) == (Fate.REFUSED, "")


async def test_words_of_a_refused_message_are_not_repeated():
    payload = a_feedback("a").model_dump_json().replace('"score":', '"score":"my secret","was":', 1).encode()
    [verdict] = await recorder(MemoryExperienceStore()).record([Arrival(FEEDBACK, payload)])
    assert "score" in verdict.reason
    assert "secret" not in verdict.reason


async def test_a_clock_that_was_never_set_is_refused():
    store = MemoryExperienceStore()
    [verdict] = await recorder(store).record([arrival(a_record(at=datetime(1970, 1, 1, tzinfo=UTC)))])
    assert "clock skew: stamped 1970-01-01" in verdict.reason
    assert await store.count() == 0


async def test_a_moment_that_no_calendar_has_keeps_nobody_elses_record_waiting():
    hostile = a_record("a").model_dump(mode="json") | {"at": "0001-01-01T00:00:00+14:00"}
    verdicts = await recorder(MemoryExperienceStore()).record(
        [Arrival(EXPERIENCE, json.dumps(hostile).encode()), arrival(a_record("b"))]
    )
    assert [verdict.fate for verdict in verdicts] == [Fate.REFUSED, Fate.KEPT]


async def test_feedback_on_the_experience_subject_is_refused():
    [verdict] = await recorder(MemoryExperienceStore()).record([arrival(a_feedback("a"))])
    assert verdict.fate is Fate.REFUSED


@pytest.mark.parametrize(("ahead", "fate"), [(timedelta(minutes=9), Fate.KEPT), (timedelta(minutes=11), Fate.REFUSED)])
async def test_a_clock_may_run_ahead_a_little(ahead, fate):
    record = a_record(at=MOMENT + timedelta(hours=1) + ahead)
    [verdict] = await recorder(MemoryExperienceStore()).record([arrival(record)])
    assert verdict.fate is fate


async def test_an_old_record_is_late_and_welcome():
    assert await recorder(MemoryExperienceStore()).record([arrival(a_record(at=MOMENT - timedelta(days=400)))]) == (
        KEPT,
    )


async def test_a_tenant_cannot_write_into_anothers_experience():
    store = MemoryExperienceStore()
    [verdict] = await recorder(store).record([arrival(a_record(tenant="acme"), "aos.umbrella.experience")])
    assert "tenant 'acme'" in verdict.reason
    assert await store.count() == 0


async def test_a_record_that_only_the_store_refuses_does_not_take_its_neighbours_along():
    class Picky(MemoryExperienceStore):
        async def record(self, records):
            if any(record.record_id == "odd" for record in records):
                raise ExperienceRefused("I do not like it")
            return await super().record(records)

    store = Picky()
    arrivals = [arrival(a_record(name)) for name in ("a", "odd", "b")]
    verdicts = await recorder(store).record(arrivals)
    assert [verdict.reason for verdict in verdicts] == ["", "I do not like it", ""]
    assert verdicts[1].task_id == "odd"
    assert await store.count() == 2


async def test_a_store_that_is_down_is_no_verdict():
    full = MemoryExperienceStore(capacity=1)
    with pytest.raises(ExperienceStoreUnavailable):
        await recorder(full).record([arrival(a_record("a")), arrival(a_record("b"))])
    assert await full.count() == 0


@pytest.mark.parametrize(
    ("field", "value"), [("latency_ms", -1.0), ("cost", -0.5), ("propensity", 1.5), ("at", "yesterday")]
)
async def test_an_impossible_number_is_refused_by_its_name(field, value):
    record = a_record().model_copy(update={field: value})
    store = MemoryExperienceStore()
    payload = record.model_dump_json(warnings=False).encode()
    [verdict] = await recorder(store).record([Arrival(EXPERIENCE, payload)])
    assert verdict.fate is Fate.REFUSED
    assert field in verdict.reason
    assert await store.count() == 0


async def test_a_record_of_agents_that_nobody_knows_is_experience_too():
    store = MemoryExperienceStore()
    record = a_record(chosen=("agent-that-was-removed",))
    assert await recorder(store).record([arrival(record)]) == (KEPT,)
    assert await store.find(ExperienceQuery(agent_id="agent-that-was-removed")) == [record]


class Counting(MemoryExperienceStore):
    """Says how many lots it was given."""

    lots = 0

    async def record(self, records):
        self.lots += 1
        return await super().record(records)


async def test_of_many_records_those_that_no_store_would_take_are_left_out_at_one_go():
    store = Counting()
    odd = a_record("odd").model_copy(update={"vector": "not base64!"})
    empty = a_record("empty").model_copy(update={"vector": "AAA="})
    arrivals = [arrival(one) for one in (a_record("a"), odd, a_record("b"), empty, a_record("c"))]
    verdicts = await recorder(store).record(arrivals)
    assert [verdict.fate for verdict in verdicts] == [Fate.KEPT, Fate.REFUSED, Fate.KEPT, Fate.REFUSED, Fate.KEPT]
    assert "vector of record odd is not base64" in verdicts[1].reason
    assert verdicts[3].task_id == "empty"
    assert await store.count() == 3
    assert store.lots == 2
