"""A lane of the work queue: bounded, never forgetful, and alive after every outage."""

import asyncio

import nats.errors
import nats.js.errors

from agents.journey.lanes import Lane, LaneLimits
from schemas import subjects
from schemas.task import Priority

LIMITS = LaneLimits(slots=4, ack_wait_s=3.0, pull_expires_s=0.5)
SUBJECT = subjects.submit("default", Priority.NORMAL)


class Bench:
    """Collects what a lane brings, and holds it until released."""

    def __init__(self) -> None:
        self.seen: list[bytes] = []
        self.most_at_once = 0
        self._now = 0
        self.release = asyncio.Event()
        self.arrived = asyncio.Condition()

    async def work(self, message) -> None:
        self._now += 1
        self.most_at_once = max(self.most_at_once, self._now)
        self.seen.append(message.data)
        async with self.arrived:
            self.arrived.notify_all()
        await self.release.wait()
        await message.ack()
        self._now -= 1

    async def until(self, count: int) -> None:
        async with asyncio.timeout(60), self.arrived:
            await self.arrived.wait_for(lambda: len(self.seen) >= count)


async def stop(lane: Lane, running: asyncio.Task) -> None:
    lane.stop()
    await lane.drain(30)
    await running


async def test_a_lane_never_works_on_more_tasks_than_it_has_slots(nc, js):
    bench = Bench()
    lane = Lane(nc, js, Priority.NORMAL, LIMITS, bench.work)
    for number in range(12):
        await js.publish(SUBJECT, str(number).encode())
    running = asyncio.create_task(lane.run())
    await bench.until(4)
    assert lane.in_flight == 4
    bench.release.set()
    await bench.until(12)
    assert bench.most_at_once <= LIMITS.slots
    async with asyncio.timeout(60):
        while (await js.stream_info(subjects.STREAM_TASKS)).state.messages:
            await asyncio.sleep(0.05)
    await stop(lane, running)


async def test_a_task_in_work_is_not_given_to_anybody_else(nc, js):
    bench = Bench()
    lane = Lane(nc, js, Priority.NORMAL, LIMITS, bench.work)
    running = asyncio.create_task(lane.run())
    await js.publish(SUBJECT, b"slow")
    await bench.until(1)
    await asyncio.sleep(2 * LIMITS.ack_wait_s)  # the point of the test is that this much time passes
    assert bench.seen == [b"slow"]
    bench.release.set()
    await stop(lane, running)


async def test_a_task_that_is_drained_is_not_given_to_anybody_else(nc, js):
    bench, other = Bench(), Bench()
    lane, second = (Lane(nc, js, Priority.NORMAL, LIMITS, taker.work) for taker in (bench, other))
    running = asyncio.create_task(lane.run())
    await js.publish(SUBJECT, b"slow")
    await bench.until(1)
    lane.stop()
    await running
    taking = asyncio.create_task(second.run())
    draining = asyncio.create_task(lane.drain(20))
    await asyncio.sleep(2 * LIMITS.ack_wait_s)  # the point of the test is that this much time passes
    bench.release.set()
    await draining
    assert (bench.seen, other.seen) == ([b"slow"], [])
    await stop(second, taking)


async def test_what_a_drained_lane_could_not_end_goes_back_at_once(nc, js):
    stuck, fresh = Bench(), Bench()
    fresh.release.set()
    first = Lane(nc, js, Priority.NORMAL, LIMITS, stuck.work)
    running = asyncio.create_task(first.run())
    await js.publish(SUBJECT, b"task")
    await stuck.until(1)
    first.stop()
    await first.drain(0.05)
    await running
    second = Lane(nc, js, Priority.NORMAL, LIMITS, fresh.work)
    running = asyncio.create_task(second.run())
    await fresh.until(1)
    await stop(second, running)


async def test_a_lane_works_on_after_the_server_was_killed(nats_server, nc, js):
    bench = Bench()
    bench.release.set()
    lane = Lane(nc, js, Priority.NORMAL, LIMITS, bench.work)
    running = asyncio.create_task(lane.run())
    await js.publish(SUBJECT, b"before")
    await bench.until(1)
    nats_server.kill()
    await nats_server.start()
    while True:
        try:
            await js.publish(SUBJECT, b"after", timeout=1)
            break
        except (nats.errors.Error, nats.js.errors.Error, OSError):
            await asyncio.sleep(0.05)
    await bench.until(2)
    assert b"after" in bench.seen
    await stop(lane, running)
