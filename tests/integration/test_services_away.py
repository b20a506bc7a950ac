"""The object store, the index or the encoders are away for longer than any patience: tasks wait, none is given up."""

import pytest
from journey_bench import LIMITS, Bench, a_task, done

from agents.errors import IndexUnavailable
from tensor_layer.errors import BlobStoreUnavailable, EncoderUnavailable, NobodyAnswers

pytestmark = pytest.mark.timeout(120)
TRIES = LIMITS.max_deliveries + 3


@pytest.fixture
async def bench(nc, js, bucket, tmp_path):
    return Bench(nc, js, bucket, tmp_path)


def away(error: Exception, times: int):
    left = [error] * times

    async def happens() -> None:
        if left:
            raise left.pop()

    return happens


@pytest.mark.parametrize(
    ("stage", "error"),
    [
        ("on_perceive", BlobStoreUnavailable("the attachment cannot be read: 503")),
        ("on_perceive", NobodyAnswers("nobody answers on aos.tensor.encode.text")),
        ("on_plan", IndexUnavailable("the skill index does not answer")),
    ],
)
async def test_a_task_waits_for_what_it_needs_before_its_first_step(queue, bench, stage, error):
    task = a_task()
    setattr(bench, stage, away(error, TRIES))
    await queue.put(task)
    for _ in range(TRIES + 1):
        await bench.dispatcher.dispatch(await queue.next())
    assert (await bench.record(task)).state == "succeeded"
    assert (await bench.record(task)).given_back == TRIES
    assert len(bench.asked) == 1
    await queue.until_empty()


async def test_what_no_waiting_cures_is_given_up_in_the_end(queue, bench):
    task = a_task()
    bench.on_perceive = away(EncoderUnavailable("the weights are not there"), TRIES)
    await queue.put(task)
    for _ in range(LIMITS.max_deliveries + 1):
        await bench.dispatcher.dispatch(await queue.next())
    assert (await bench.record(task)).failure.code == "too_many_deliveries"
    await queue.until_empty()


async def test_agents_are_not_asked_for_ever_for_an_answer_that_cannot_be_stored(queue, bench):
    async def answered_but_not_stored(invocation):
        raise BlobStoreUnavailable("the answer cannot be stored: 503")

    task = a_task()
    bench.answer = answered_but_not_stored
    await queue.put(task)
    for _ in range(LIMITS.max_deliveries + 1):
        await bench.dispatcher.dispatch(await queue.next())
    assert (await bench.record(task)).failure.code == "too_many_deliveries"
    assert len(bench.asked) == LIMITS.max_deliveries
    bench.answer = done
    await queue.until_empty()
