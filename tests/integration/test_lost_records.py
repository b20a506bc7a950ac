"""A task's record is removed, wiped out with its bucket or overwritten while its message waits: the task still ends."""

import asyncio
import json

import pytest
from journey_bench import LIMITS, Bench, Held, a_task

from schemas import subjects

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
async def bench(nc, js, bucket, tmp_path):
    return Bench(nc, js, bucket, tmp_path)


def key_of(task) -> str:
    return subjects.record_key(task.tenant, task.task_id)


@pytest.mark.parametrize("how", ["delete", "purge", "bucket"])
@pytest.mark.parametrize("when", ["before", "during"])
async def test_a_record_that_somebody_removed_is_written_anew(queue, bench, bucket, js, how, when):
    async def remove() -> None:
        if how == "bucket":
            await js.purge_stream(f"KV_{subjects.BUCKET_TASKS}")
        else:
            await getattr(bucket, how)(key_of(task))

    task = a_task()
    bench.answer = Held()
    await queue.put(task)
    if when == "before":
        await bucket.put(key_of(task), b"{}")
        await remove()
        bench.answer.go.set()
    working = asyncio.create_task(bench.dispatcher.dispatch(await queue.next()))
    await asyncio.wait_for(bench.answer.asked.wait(), 30)
    if when == "during":
        await remove()
        bench.answer.go.set()
    await working
    assert (await bench.record(task)).state == "succeeded"
    await queue.until_empty()


async def test_a_task_whose_record_nobody_can_read_does_not_come_back_for_ever(queue, bench, bucket, js):
    task = a_task()
    await bucket.put(key_of(task), b'{"task_id": "t", "state": "of a release to come"}')
    await queue.put(task)
    for _ in range(LIMITS.max_deliveries + 1):
        await bench.dispatcher.dispatch(await queue.next())
    await queue.until_empty()
    letter = json.loads((await js.get_last_msg(subjects.STREAM_DEAD, subjects.dead(task.tenant))).data)
    assert (letter["code"], letter["task_id"]) == ("record_unreadable", task.task_id)
    assert (await bench.told(task)) == ["failed"]
    assert bench.asked == []
