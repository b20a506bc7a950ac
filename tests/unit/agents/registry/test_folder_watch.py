"""A folder of cards and the registry stay in step, whatever is saved, broken, renamed or deleted."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from agents.errors import BusUnavailable, CardInvalid
from agents.registry.folder_watch import FolderWatch
from agents.registry.memory_registry import MemoryRegistry
from schemas.card import AgentCard, CardRevision


def card_text(agent_id: str, description: str = "Reads the printed text in pictures.") -> str:
    return f"""\
id: {agent_id}
version: 1.0.0
description: {description}
skills:
  - {{id: read, description: Read the printed text in a picture., inputs: [image], outputs: [text]}}
endpoint: {{kind: nats}}
"""


class Watched:
    """A folder under watch, with everything that was refused."""

    def __init__(self, folder: Path, registry: MemoryRegistry) -> None:
        self.folder = folder
        self.registry = registry
        self.refused: list[CardInvalid] = []
        self.watch = FolderWatch(folder, registry, self.refused.append)

    def save(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text)

    async def ids(self) -> list[str]:
        return [revision.card.id for revision in await self.registry.list_cards()]


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    folder = tmp_path / "agents"
    folder.mkdir()
    return Watched(folder, MemoryRegistry())


async def becomes(condition: Callable[[], object], what: str) -> None:
    try:
        async with asyncio.timeout(15):
            while not condition():
                await asyncio.sleep(0.01)
    except TimeoutError:
        pytest.fail(f"waited in vain until {what}")


async def test_all_good_cards_are_registered_and_the_bad_ones_told(watched: Watched):
    watched.save("a.yaml", card_text("a"))
    watched.save("b.yaml", "id: [")
    load = await watched.watch.synchronise()
    assert await watched.ids() == ["a"]
    assert len(load.refused) == len(watched.refused) == 1
    assert "b.yaml" in str(watched.refused[0])


async def test_an_unchanged_folder_makes_no_new_versions_and_tells_nothing_twice(watched: Watched):
    watched.save("a.yaml", card_text("a"))
    watched.save("b.yaml", "id: [")
    for _ in range(3):
        await watched.watch.synchronise()
    assert len(await watched.registry.history("default", "a")) == 1
    assert len(watched.refused) == 1


async def test_a_changed_card_is_a_new_version(watched: Watched):
    watched.save("a.yaml", card_text("a"))
    await watched.watch.synchronise()
    watched.save("a.yaml", card_text("a", "Reads handwriting as well."))
    await watched.watch.synchronise()
    assert (await watched.registry.get("default", "a")).card.description == "Reads handwriting as well."


async def test_a_deleted_file_removes_its_agent(watched: Watched):
    watched.save("a.yaml", card_text("a"))
    await watched.watch.synchronise()
    (watched.folder / "a.yaml").unlink()
    await watched.watch.synchronise()
    assert await watched.ids() == []


async def test_a_card_that_turns_bad_keeps_its_last_good_version_in_service(watched: Watched):
    watched.save("a.yaml", card_text("a"))
    await watched.watch.synchronise()
    watched.save("a.yaml", "id: [broken while typing")
    await watched.watch.synchronise()
    assert await watched.ids() == ["a"]
    assert len(watched.refused) == 1
    watched.save("a.yaml", card_text("a", "Repaired and better than before."))
    await watched.watch.synchronise()
    assert (await watched.registry.get("default", "a")).card.description.startswith("Repaired")


async def test_a_renamed_file_keeps_its_agent(watched: Watched):
    watched.save("a.yaml", card_text("a"))
    await watched.watch.synchronise()
    (watched.folder / "a.yaml").rename(watched.folder / "z.yaml")
    await watched.watch.synchronise()
    assert await watched.ids() == ["a"]
    assert len(await watched.registry.history("default", "a")) == 1


async def test_a_file_whose_agent_is_renamed_removes_the_old_one(watched: Watched):
    watched.save("a.yaml", card_text("old"))
    await watched.watch.synchronise()
    watched.save("a.yaml", card_text("new"))
    await watched.watch.synchronise()
    assert await watched.ids() == ["new"]


async def test_agents_of_others_are_left_alone(watched: Watched):
    foreign = AgentCard.model_validate(
        {
            "id": "foreign",
            "version": "1.0.0",
            "description": "Registered by hand.",
            "skills": [{"id": "s", "description": "Does something.", "inputs": ["text"], "outputs": ["text"]}],
            "endpoint": {"kind": "nats"},
        }
    )
    await watched.registry.register(foreign)
    watched.save("a.yaml", card_text("a"))
    await watched.watch.synchronise()
    (watched.folder / "a.yaml").unlink()
    await watched.watch.synchronise()
    assert await watched.ids() == ["foreign"]


async def test_of_two_files_with_one_id_neither_is_new_and_deleting_one_cures_it(watched: Watched):
    watched.save("a.yaml", card_text("a"))
    await watched.watch.synchronise()
    watched.save("copy.yaml", card_text("a", "A copy that somebody forgot."))
    await watched.watch.synchronise()
    assert "both describe" in str(watched.refused[0])
    assert (await watched.registry.get("default", "a")).card.description.startswith("Reads")
    (watched.folder / "a.yaml").unlink()
    await watched.watch.synchronise()
    assert (await watched.registry.get("default", "a")).card.description.startswith("A copy")


async def test_a_refusal_that_another_file_cures_is_looked_at_again(watched: Watched):
    text = card_text("a").replace("{kind: nats}", '{kind: python, target: "a.py:run"}')
    watched.save("a.yaml", text)
    await watched.watch.synchronise()
    assert await watched.ids() == []
    watched.save("a.py", "def run(): ...")
    await watched.watch.synchronise()
    assert await watched.ids() == ["a"]


async def test_agents_of_files_deleted_while_nobody_watched_are_removed(tmp_path: Path):
    folder, memory, registry = tmp_path / "agents", tmp_path / "data" / "registered.json", MemoryRegistry()
    folder.mkdir()
    for name in ("a", "b", "c"):
        (folder / f"{name}.yaml").write_text(card_text(name))
    await FolderWatch(folder, registry, print, memory).synchronise()
    (folder / "a.yaml").unlink()
    (folder / "b.yaml").rename(folder / "renamed.yaml")
    (folder / "c.yaml").write_text("id: [")
    await FolderWatch(folder, registry, print, memory).synchronise()
    assert {agent for _, agent in present(registry)} == {"b", "c"}, "a bad file does not take its agent out of service"
    (folder / "c.yaml").unlink()
    await FolderWatch(folder, registry, print, memory).synchronise()
    assert {agent for _, agent in present(registry)} == {"b"}


@pytest.mark.parametrize(
    "noted", ["", "[]", '{"folder": 1}', '{"folder": "/elsewhere", "agents": {"/x.yaml": ["t", "a"]}}']
)
async def test_a_damaged_or_foreign_memory_is_no_reason_to_remove_anybody(tmp_path: Path, noted: str):
    watched = Watched(tmp_path, MemoryRegistry())
    (tmp_path / "memory.json").write_text(noted)
    watched.save("a.yaml", card_text("a"))
    await FolderWatch(tmp_path, watched.registry, print, tmp_path / "memory.json").synchronise()
    assert await watched.ids() == ["a"]


# Running.


@pytest.fixture
async def running(watched: Watched) -> AsyncIterator[Watched]:
    watched.save("first.yaml", card_text("first"))
    task = asyncio.create_task(watched.watch.run())
    async with asyncio.timeout(15):
        await watched.watch.ready.wait()
    yield watched
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert task.cancelled()


async def test_while_running_files_are_followed(running: Watched):
    assert await running.ids() == ["first"]
    running.save("second.yaml", card_text("second"))
    await becomes(lambda: len(running.watch.loaded.cards) == 2, "the new file is seen")
    running.save("bad.yaml", "id: [")
    await becomes(lambda: running.refused, "the bad file is told")
    (running.folder / "first.yaml").unlink()
    await becomes(lambda: [c.card.id for c in running.watch.loaded.cards] == ["second"], "the deletion is seen")
    await becomes(lambda: ("default", "first") not in present(running.registry), "the agent is removed")


def present(registry: MemoryRegistry) -> set[tuple[str, str]]:
    return {key for key, versions in registry._versions.items() if not versions[-1].removed}


class BusyBus(MemoryRegistry):
    """Refuses the first calls, as a bus that restarts would."""

    refusals_left = 1

    async def register(self, card: AgentCard) -> CardRevision:
        if self.refusals_left > 0:
            self.refusals_left -= 1
            raise BusUnavailable("restarting")
        return await super().register(card)


async def test_a_bus_that_is_away_only_delays(tmp_path: Path):
    watched = Watched(tmp_path, BusyBus())
    watched.save("a.yaml", card_text("a"))
    task = asyncio.create_task(watched.watch.run())
    async with asyncio.timeout(15):
        await watched.watch.ready.wait()
    assert await watched.ids() == ["a"]
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path):
    with pytest.raises(FileNotFoundError):
        await FolderWatch(tmp_path / "absent", MemoryRegistry(), lambda _: None).run()
