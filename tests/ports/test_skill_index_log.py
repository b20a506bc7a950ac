"""The log of the embedded index stays as small as what it says, however often the agents change."""

from pathlib import Path

import pytest

from agents.registry.skill_index import edge, log
from tests.ports.test_skill_index_kept import becomes, folder, nearest, one_file, opened, points_of, vectors_of

__all__ = ["folder"]

ROUNDS, AGENTS = 40, 5


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log, "GARBAGE_LEAST", 20)
    monkeypatch.setattr(edge, "LOOK_EVERY_S", 0.01)


async def test_agents_that_change_and_go_do_not_stay_in_the_log(folder: Path):
    async with opened(folder) as index:
        file = one_file(folder, "*/skills.log")
        for agent in range(AGENTS):
            await index.replace("default", f"a{agent}", points_of(agent), "first")
        once = file.stat().st_size
        for round_ in range(ROUNDS):
            for agent in range(AGENTS):
                await index.replace("default", f"a{agent}", points_of(agent, round_), f"mark {round_}")
                await index.replace("default", f"pod-{round_}-{agent}", (), "gone")
        await becomes(lambda: file.stat().st_size <= 8 * once)
        assert await nearest(index, vectors_of(3, ROUNDS - 1)[7]) == ("a3", "s7")
        await index.replace("default", "a3", points_of(3, 99), "after")
    async with opened(folder) as index:
        assert await nearest(index, vectors_of(3, 99)[4]) == ("a3", "s4")
        marks = {agent: mark for (_, agent), mark in (await index.marks()).items()}
        assert marks == {f"a{agent}": f"mark {ROUNDS - 1}" for agent in range(AGENTS)} | {"a3": "after"}


async def test_an_index_that_is_closed_during_a_rewrite_is_whole_the_next_time(folder: Path):
    for round_ in range(5):
        async with opened(folder) as index:
            for number in range(60):
                await index.replace("default", f"a{number % AGENTS}", points_of(number % AGENTS, round_), f"m{round_}")
    async with opened(folder) as index:
        assert set((await index.marks()).values()) == {"m4"}
        assert await nearest(index, vectors_of(2, 4)[5]) == ("a2", "s5")
