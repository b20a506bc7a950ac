"""One behaviour, every experience store. InfluxDB takes part when AOS_INFLUX_URL names a server (and _TOKEN, _ORG)."""

import asyncio
import os
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest

from evolution.errors import ExperienceRefused
from evolution.ports import ExperienceQuery, ExperienceStore
from evolution.privacy.guard import Guard
from evolution.privacy.keys import KeyRing
from evolution.store.influx_store import InfluxExperienceStore
from evolution.store.memory_store import MemoryExperienceStore
from evolution.store.sqlite_store import SqliteExperienceStore
from evolution.tiers.cold_files import ColdFiles
from evolution.tiers.tiered_store import TieredStore
from schemas.base import new_id
from tests.unit.evolution.experience_records import MOMENT, a_failure, a_feedback, a_record, said_of

NAN = float("nan")


@dataclass(frozen=True)
class Stored:
    """A store, its tenants (fresh for each test), and a look behind the port: ids that really lie there."""

    store: ExperienceStore
    ids: Callable[[], Awaitable[list[str]]]
    mine: str
    other: str

    def query(self, **changes: object) -> ExperienceQuery:
        return replace(ExperienceQuery(tenant=self.mine), **changes)


@pytest.fixture(params=["memory", "sqlite", "tiered", "influx"])
async def stored(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Stored]:
    mine, other = f"mine-{new_id()[-8:]}", f"other-{new_id()[-8:]}"
    if request.param == "memory":
        memory = MemoryExperienceStore()

        async def ids() -> list[str]:
            return [record_id for _, record_id in memory._records]

        yield Stored(memory, ids, mine, other)
    elif request.param == "sqlite":
        sqlite = SqliteExperienceStore(tmp_path / "folder" / "experience.db")
        yield Stored(
            sqlite, lambda: asyncio.to_thread(_ids_in_file, tmp_path / "folder" / "experience.db"), mine, other
        )
        await sqlite.close()
    elif request.param == "tiered":
        path, keys = tmp_path / "tiered.db", KeyRing(tmp_path / "keys")
        keys.add("*")
        tiered = TieredStore(
            SqliteExperienceStore(path, guard=Guard(keys)), path, ColdFiles((tmp_path / "cold").as_uri()), Guard(keys)
        )
        yield Stored(tiered, lambda: asyncio.to_thread(_ids_in_file, path), mine, other)
        await tiered.close()
    else:
        if "AOS_INFLUX_URL" not in os.environ:
            pytest.skip("AOS_INFLUX_URL is not set")
        influx = InfluxExperienceStore(
            os.environ["AOS_INFLUX_URL"],
            token=os.environ.get("AOS_INFLUX_TOKEN", ""),
            org=os.environ.get("AOS_INFLUX_ORG", "aos"),
        )

        async def ids_of_both() -> list[str]:
            found = [
                *await influx.find(ExperienceQuery(tenant=mine)),
                *await influx.find(ExperienceQuery(tenant=other)),
            ]
            return [record.record_id for record in found]

        yield Stored(influx, ids_of_both, mine, other)
        await influx.close()


def _ids_in_file(path: Path) -> list[str]:
    connection = sqlite3.connect(path)
    try:
        return [record_id for (record_id,) in connection.execute("SELECT record_id FROM experience ORDER BY seq")]
    finally:
        connection.close()


async def test_a_record_comes_back_as_it_was_stored(stored: Stored) -> None:
    record = a_record(tenant=stored.mine)
    assert await stored.store.record([record]) == 1
    assert await stored.store.find(stored.query()) == [record]


async def test_a_record_without_vector_network_or_agents_comes_back_too(stored: Stored) -> None:
    record = a_failure(
        tenant=stored.mine, vector=None, network=None, steps=(), candidates=(), failure_code="no_agent_fits"
    ).model_copy(update={"chosen": ()})
    await stored.store.record([record])
    assert await stored.store.find(stored.query()) == [record]


async def test_writing_a_record_again_leaves_the_first(stored: Stored) -> None:
    record = a_record(tenant=stored.mine)
    assert await stored.store.record([record, record]) == 1
    assert await stored.store.record([record.model_copy(update={"cost": 9.0})]) == 0
    assert await stored.store.find(stored.query()) == [record]
    assert await stored.ids() == [record.record_id]


async def test_two_tenants_may_use_the_same_id_and_see_only_their_own(stored: Stored) -> None:
    mine, other = a_record("same", tenant=stored.mine), a_record("same", tenant=stored.other)
    assert await stored.store.record([mine, other]) == 2
    assert await stored.store.find(stored.query()) == [mine]
    assert await stored.store.count(stored.mine) == 1
    assert len(await stored.ids()) == 2


async def test_records_are_found_newest_first_and_at_most_as_many_as_asked(stored: Stored) -> None:
    records = [a_record(tenant=stored.mine, minutes=i) for i in (2, 0, 3, 1)]
    await stored.store.record(records)
    found = await stored.store.find(stored.query(limit=3))
    assert [(record.at - MOMENT) / timedelta(minutes=1) for record in found] == [3, 2, 1]


async def test_a_window_holds_its_start_and_not_its_end(stored: Stored) -> None:
    records = [a_record(tenant=stored.mine, minutes=i) for i in range(4)]
    await stored.store.record(records)
    window = stored.query(since=records[1].at, until=records[3].at)
    assert await stored.store.find(window) == [records[2], records[1]]


async def test_records_are_found_by_agent_and_by_success(stored: Stored) -> None:
    won = a_record(tenant=stored.mine, chosen=("ocr", "chart", "ocr"), minutes=0)
    lost = a_failure(tenant=stored.mine, chosen=("ocr",), minutes=1)
    other = a_record(tenant=stored.mine, chosen=("ocr-pro",), minutes=2)
    await stored.store.record([won, lost, other])
    assert await stored.store.find(stored.query(agent_id="ocr")) == [lost, won]
    assert await stored.store.find(stored.query(agent_id="chart")) == [won]
    assert await stored.store.find(stored.query(agent_id="ocr", success=False)) == [lost]
    assert await stored.store.find(stored.query(success=True)) == [other, won]
    assert await stored.store.find(stored.query(agent_id="nobody")) == []


async def test_records_are_found_by_the_policy_that_routed_them(stored: Stored) -> None:
    old, new = (
        a_record(tenant=stored.mine, minutes=minutes).model_copy(update={"policy": policy})
        for minutes, policy in ((0, "cosine-1"), (1, "learned-1"))
    )
    await stored.store.record([old, new])
    assert await stored.store.find(stored.query(policy="cosine-1", limit=1)) == [old]
    assert await stored.store.find(stored.query(policy="cosine-1", agent_id="ocr", task_id=old.task_id)) == [old]
    assert await stored.store.find(stored.query(policy="learned")) == []


async def test_records_of_one_task_are_found_whichever_way_they_are_asked_for(stored: Stored) -> None:
    first = a_failure("asked", tenant=stored.mine, minutes=0)
    again = a_record("asked", tenant=stored.mine, minutes=2).model_copy(update={"record_id": "asked-again"})
    others = [a_record(tenant=stored.mine, minutes=1), a_record("asked", tenant=stored.other, minutes=1)]
    await stored.store.record([first, *others, again])
    assert await stored.store.find(stored.query(task_id="asked")) == [again, first]
    assert await stored.store.find(stored.query(task_id="asked", limit=1)) == [again]
    assert await stored.store.find(stored.query(task_id="asked", until=again.at)) == [first]
    assert await stored.store.find(stored.query(task_id="asked", success=False, agent_id="ocr")) == [first]
    assert await stored.store.find(stored.query(task_id="asked", agent_id="nobody")) == []
    assert await stored.store.find(stored.query(task_id="unknown")) == []
    assert [batch async for batch in stored.store.scan(stored.query(task_id="asked"), 1)] == [[first], [again]]


async def test_a_record_that_could_not_be_read_back_is_refused_with_all_of_its_call(stored: Stored) -> None:
    good = a_record(tenant=stored.mine)
    for wrong in ({"cost": float("inf")}, {"vector": "@@"}, {"vector": "AAAA"}, {"latency_ms": NAN}):
        with pytest.raises(ExperienceRefused, match="record"):
            await stored.store.record([good, good.model_copy(update=wrong)])
    assert await stored.ids() == []


async def test_a_refused_record_fails_only_the_call_that_brought_it(stored: Stored) -> None:
    goods = [a_record(tenant=stored.mine) for _ in range(20)]
    bad = a_record(tenant=stored.mine).model_copy(update={"cost": NAN})
    answers = await asyncio.gather(*(stored.store.record([r]) for r in [*goods, bad]), return_exceptions=True)
    assert answers[:-1] == [1] * 20
    assert isinstance(answers[-1], ExperienceRefused)
    assert sorted(await stored.ids()) == sorted(record.record_id for record in goods)


async def test_feedback_may_come_before_its_record_late_and_twice(stored: Stored) -> None:
    early = a_feedback("task-1", tenant=stored.mine, minutes=1, score=0.25)
    assert await stored.store.add_feedback([early, early.model_copy(update={"comment": "changed my mind"})]) == 1
    await stored.store.record([a_record("task-1", tenant=stored.mine)])
    late = a_feedback("task-1", tenant=stored.mine, minutes=60 * 24 * 9, thumbs_up=False)
    assert await stored.store.add_feedback([late, early]) == 1
    assert await stored.store.add_feedback([late]) == 0
    assert await said_of(stored.store, stored.mine, "task-1") == [early, late]
    assert await said_of(stored.store, stored.other, "task-1") == []
    assert await said_of(stored.store, stored.mine, "task-2") == []


async def test_feedback_of_many_tasks_comes_in_one_answer_and_each_tenants_own(stored: Stored) -> None:
    said = [a_feedback(f"task-{n % 3}", tenant=stored.mine, minutes=-n, score=n / 10) for n in range(9)]
    await stored.store.add_feedback([*said, a_feedback("task-0", tenant=stored.other)])
    found = await stored.store.feedback_by_task(stored.mine, ["task-2", "unknown", "task-0", "task-2"])
    assert list(found) == ["task-2", "unknown", "task-0"]
    assert found == {"task-2": [said[8], said[5], said[2]], "unknown": [], "task-0": [said[6], said[3], said[0]]}


async def test_nothing_is_said_of_no_task_nor_of_ids_that_no_task_has(stored: Stored) -> None:
    await stored.store.add_feedback([a_feedback("a", tenant=stored.mine)])
    assert await stored.store.feedback_by_task(stored.mine, []) == {}
    strange = ["", "A", "a%", "a\0b", "' OR 1=1 --", "ä", "a" * 100_000]
    assert await stored.store.feedback_by_task(stored.mine, strange) == {task_id: [] for task_id in strange}
    assert len(await said_of(stored.store, stored.mine, "a")) == 1


async def test_thousands_of_tasks_may_be_asked_for_at_once(stored: Stored) -> None:
    said = {f"task-{n}": a_feedback(f"task-{n}", tenant=stored.mine, minutes=n) for n in range(0, 4000, 7)}
    await stored.store.add_feedback(list(said.values()))
    found = await stored.store.feedback_by_task(stored.mine, [f"task-{n}" for n in range(4000)])
    assert len(found) == 4000
    assert {task_id: remarks for task_id, remarks in found.items() if remarks} == {k: [v] for k, v in said.items()}


async def test_where_to_begin_is_known_before_anything_was_said(stored: Stored) -> None:
    begun = await stored.store.spoken_of(stored.mine, None)
    assert begun.task_ids is None
    assert (await stored.store.spoken_of(stored.mine, begun.cursor)).task_ids == frozenset()
    await stored.store.add_feedback([a_feedback("first", tenant=stored.mine)])
    assert "first" in (await stored.store.spoken_of(stored.mine, begun.cursor)).task_ids


async def test_tasks_are_named_that_something_was_stored_of_since_whatever_its_moment(stored: Stored) -> None:
    early = a_feedback("old", tenant=stored.mine)
    await stored.store.add_feedback([early])
    begun = await stored.store.spoken_of(stored.mine, None)
    late = a_feedback("long-ago", tenant=stored.mine, minutes=-60 * 24 * 30)
    ahead = a_feedback("ahead", tenant=stored.mine, minutes=60 * 24 * 30)
    others = a_feedback("others", tenant=stored.other)
    await stored.store.add_feedback([ahead, late, others, early])
    found = await stored.store.spoken_of(stored.mine, begun.cursor)
    # A task may be named again, here "old"; nothing is left out, and nothing of others is told.
    assert {"long-ago", "ahead"} <= found.task_ids <= {"long-ago", "ahead", "old"}
    assert "others" in (await stored.store.spoken_of(stored.other, begun.cursor)).task_ids
    again = a_feedback("old", tenant=stored.mine, minutes=-1)
    await stored.store.add_feedback([again])
    assert "old" in (await stored.store.spoken_of(stored.mine, found.cursor)).task_ids
    assert await said_of(stored.store, stored.mine, "old") == [again, early]


async def test_who_looks_again_and_again_while_many_speak_misses_nobody(stored: Stored) -> None:
    cursor = (await stored.store.spoken_of(stored.mine, None)).cursor
    said = [a_feedback(f"task-{n}", tenant=stored.mine, minutes=-n) for n in range(40)]
    speaking = asyncio.gather(*(stored.store.add_feedback([one]) for one in said))
    named: set[str] = set()
    while not speaking.done():
        found = await stored.store.spoken_of(stored.mine, cursor)
        named, cursor = named | found.task_ids, found.cursor
        await asyncio.sleep(0)
    assert await speaking == [1] * 40
    named |= (await stored.store.spoken_of(stored.mine, cursor)).task_ids
    assert named == {one.task_id for one in said}


@pytest.mark.parametrize(
    "cursor",
    ["", "else.where.9", "sqlite.1.x.y", "sqlite.3.7.f", f"sqlite.1.{10**30}.f", "influx.x", "memory.x.0", "\0"],
)
async def test_of_a_cursor_that_this_store_never_gave_all_tasks_are_to_be_asked(stored: Stored, cursor: str) -> None:
    await stored.store.add_feedback([a_feedback("a", tenant=stored.mine)])
    found = await stored.store.spoken_of(stored.mine, cursor)
    assert found.task_ids is None
    assert (await stored.store.spoken_of(stored.mine, found.cursor)).task_ids is not None
    await stored.store.record([a_record(tenant=stored.mine)])
    assert (await stored.store.recorded_since(stored.mine, cursor)).records is None


async def test_what_was_recorded_since_is_told_whole_or_not_at_all(stored: Stored) -> None:
    begun = await stored.store.recorded_since(stored.mine, None)
    assert begun.records is None
    late = a_record(tenant=stored.mine, minutes=-60 * 24)
    await stored.store.record([late, a_record(tenant=stored.other)])
    found = await stored.store.recorded_since(stored.mine, begun.cursor)
    assert found.records in (None, [late])
    again = await stored.store.recorded_since(stored.mine, found.cursor)
    assert again.records in (None, [])


async def test_a_scan_gives_everything_once_oldest_first_in_batches(stored: Stored) -> None:
    records = [a_record(tenant=stored.mine, minutes=i // 3) for i in range(10)]
    await stored.store.record(list(reversed(records)))
    batches = [batch async for batch in stored.store.scan(stored.query(limit=2), batch_rows=4)]
    assert max(len(batch) for batch in batches) <= 4
    flat = [record for batch in batches for record in batch]
    assert [record.at for record in flat] == [record.at for record in records]
    assert {record.record_id for record in flat} == {record.record_id for record in records}


async def test_many_writers_at_once_lose_nothing_and_double_nothing(stored: Stored) -> None:
    records = [a_record(tenant=stored.mine, minutes=i) for i in range(60)]
    counts = await asyncio.gather(*(stored.store.record([record]) for record in records + records))
    assert sum(counts) == 60
    assert await stored.store.count(stored.mine) == 60


async def test_tail_gives_what_is_there_since_a_moment_and_then_what_comes(stored: Stored) -> None:
    old, there, coming = (a_record(tenant=stored.mine, minutes=i) for i in range(3))
    await stored.store.record([old, there])
    async with aclosing(stored.store.tail(stored.query(since=there.at))) as tail, asyncio.timeout(30):
        assert await anext(tail) == there
        waiting = asyncio.create_task(anext(tail))
        await stored.store.record([a_record(tenant=stored.other), coming])
        assert await waiting == coming


async def test_tail_without_a_moment_gives_only_what_comes(stored: Stored) -> None:
    await stored.store.record([a_record("old", tenant=stored.mine)])
    async with aclosing(stored.store.tail(stored.query())) as tail, asyncio.timeout(30):
        waiting = asyncio.create_task(anext(tail))
        number = 0
        while not waiting.done():  # when the tail begins is for the store to choose: write until it has begun
            number += 1
            await stored.store.record([a_record(f"new-{number}", tenant=stored.mine, minutes=number)])
            await asyncio.sleep(0)
        assert (await waiting).record_id.startswith("new-")


async def test_tail_of_one_agent_gives_only_its_records(stored: Stored) -> None:
    async with aclosing(stored.store.tail(stored.query(agent_id="chart", since=MOMENT))) as tail, asyncio.timeout(30):
        waiting = asyncio.create_task(anext(tail))
        await stored.store.record([a_record(tenant=stored.mine)])
        wanted = a_record(tenant=stored.mine, chosen=("chart",), minutes=1)
        await stored.store.record([wanted])
        assert await waiting == wanted


async def test_an_empty_store_answers_nothing_everywhere(stored: Stored) -> None:
    assert await stored.store.count(stored.mine) == 0
    assert await stored.store.find(stored.query()) == []
    assert [batch async for batch in stored.store.scan(stored.query())] == []
    assert await stored.store.record([]) == 0
    assert await stored.store.add_feedback([]) == 0


async def test_tenants_with_records_are_known(stored):
    assert {stored.mine, stored.other}.isdisjoint(await stored.store.tenants())
    await stored.store.record([a_record(tenant=stored.mine), a_record(tenant=stored.other)])
    found = await stored.store.tenants()
    assert {stored.mine, stored.other} <= set(found)
    assert found == sorted(found)


async def test_tail_begins_with_the_latest_and_then_misses_none(stored):
    query = stored.query()
    await stored.store.record([a_record(f"r{n}", minutes=n, tenant=stored.mine) for n in range(5)])
    async with aclosing(stored.store.tail(query, latest=2)) as following:
        assert (await anext(following)).record_id == "r3"
        # Stored while the caller still looks at the latest; its moment lies before theirs.
        await stored.store.record([a_record("late", minutes=-5, tenant=stored.mine)])
        assert (await anext(following)).record_id == "r4"
        async with asyncio.timeout(20):
            assert (await anext(following)).record_id == "late"
        await stored.store.record([a_record("r5", minutes=5, tenant=stored.mine)])
        async with asyncio.timeout(20):
            assert (await anext(following)).record_id == "r5"
