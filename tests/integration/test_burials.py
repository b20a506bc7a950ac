"""What is given up lies in the dead-letter stream once, with all it takes to try again; what ended is not buried."""

import base64
import json

import pytest
from journey_bench import LIMITS, Bench, a_task

from agents.journey.dead import DeadLetters
from schemas import subjects

pytestmark = pytest.mark.timeout(120)


async def buried(js) -> int:
    return (await js.stream_info(subjects.STREAM_DEAD)).state.messages


async def test_a_message_that_is_buried_again_is_one_letter(queue, js):
    task = a_task()
    await queue.put(task)
    message = await queue.next()
    for _ in range(2):  # a worker may die between the burial and the acknowledgement
        message = await queue.redelivered(message)
        await DeadLetters(js).bury(message, task.task_id, task.tenant, "too_many_deliveries", "why " * 5_000)
    assert await buried(js) == 1
    letter = json.loads((await js.get_last_msg(subjects.STREAM_DEAD, subjects.dead(task.tenant))).data)
    assert base64.b64decode(letter["payload"]) == message.data
    assert (letter["subject"], letter["attempts"], len(letter["reason"])) == (message.subject, 2, 4_000)


async def test_a_task_that_has_ended_is_not_buried_however_often_its_message_comes(nc, js, queue, bucket, tmp_path):
    bench, task = Bench(nc, js, bucket, tmp_path), a_task()
    await queue.put(task)
    message = await queue.next()
    await bench.traveller.travel(task, message.metadata.sequence.stream, 1)  # done, and then not acknowledged
    for _ in range(LIMITS.max_deliveries):
        message = await queue.redelivered(message)
    await bench.dispatcher.dispatch(message)
    await queue.until_empty()
    assert await buried(js) == 0
    assert (await bench.told(task)).count("succeeded") == 1
