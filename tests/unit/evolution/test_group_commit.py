"""Concurrent writes become one, each caller gets its own answer, and the queue is bounded."""

import asyncio

import pytest

from evolution.store.group_commit import GroupCommit


class Disk:
    """Counts what it is asked to write; the first write waits until ``go``."""

    def __init__(self) -> None:
        self.groups: list[list[list[int]]] = []
        self.go = asyncio.Event()
        self.started = asyncio.Event()
        self.failing = False

    async def write(self, groups):
        self.groups.append([list(group) for group in groups])
        self.started.set()
        await self.go.wait()
        if self.failing:
            raise OSError("disk on fire")
        return [ValueError("negative") if min(group) < 0 else len(group) for group in groups]


async def test_what_waits_during_a_commit_goes_into_the_next_one_together():
    disk = Disk()
    commits = GroupCommit(disk.write)
    first = asyncio.create_task(commits.submit([1]))
    await disk.started.wait()
    others = [asyncio.create_task(commits.submit([number, number])) for number in range(5)]
    await asyncio.sleep(0)
    disk.go.set()
    assert await first == 1
    assert await asyncio.gather(*others) == [2] * 5
    assert [len(group) for group in disk.groups] == [1, 5]


async def test_each_caller_gets_its_own_error_and_others_their_count():
    disk = Disk()
    disk.go.set()
    commits = GroupCommit(disk.write)
    answers = await asyncio.gather(*(commits.submit([n]) for n in (1, -1, 2)), return_exceptions=True)
    assert answers[0] == answers[2] == 1
    assert isinstance(answers[1], ValueError)


async def test_a_failed_commit_fails_its_callers_and_the_next_one_works():
    disk = Disk()
    disk.go.set()
    disk.failing = True
    commits = GroupCommit(disk.write)
    with pytest.raises(OSError, match="on fire"):
        await commits.submit([1])
    disk.failing = False
    assert await commits.submit([1, 2]) == 2


async def test_a_group_stops_growing_at_its_limit():
    disk = Disk()
    commits = GroupCommit(disk.write, max_items=4)
    waiting = [asyncio.create_task(commits.submit([n, n])) for n in range(7)]
    await disk.started.wait()
    disk.go.set()
    await asyncio.gather(*waiting)
    assert max(sum(map(len, group)) for group in disk.groups) == 4


async def test_callers_beyond_the_queue_wait_to_enter_and_are_all_served():
    disk = Disk()
    commits = GroupCommit(disk.write, max_waiting=2)
    waiting = [asyncio.create_task(commits.submit([n])) for n in range(50)]
    await disk.started.wait()
    assert commits.waiting <= 2
    disk.go.set()
    assert await asyncio.gather(*waiting) == [1] * 50


async def test_a_cancelled_caller_does_not_take_its_write_along():
    disk = Disk()
    commits = GroupCommit(disk.write)
    caller = asyncio.create_task(commits.submit([7]))
    await disk.started.wait()
    caller.cancel()
    disk.go.set()
    await commits.close()
    assert disk.groups == [[[7]]]


async def test_closing_writes_what_waits_and_then_takes_nothing():
    disk = Disk()
    commits = GroupCommit(disk.write)
    waiting = [asyncio.create_task(commits.submit([n])) for n in range(3)]
    await disk.started.wait()
    disk.go.set()
    await commits.close()
    assert await asyncio.gather(*waiting) == [1, 1, 1]
    with pytest.raises(RuntimeError, match="closed"):
        await commits.submit([1])
