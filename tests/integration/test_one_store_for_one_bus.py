"""Evolution roles that keep different stores are not let at one bus's experience together: each would get half."""

import asyncio
from pathlib import Path

import pytest
from nats.aio.client import Client

from evolution.bus import ExperienceConsumer
from evolution.claiming import Place
from evolution.errors import RecordedElsewhere
from evolution.recording import Recorder
from evolution.store.memory_store import MemoryExperienceStore
from gateway.experience_origin import place_of
from gateway.roles.evolution import run as run_role
from gateway.settings import Settings
from schemas import subjects
from schemas.base import new_id
from tests.unit.evolution.experience_records import a_record

pytestmark = pytest.mark.timeout(90)


class Role:
    """A recorder of its own over a data folder."""

    def __init__(self, nc: Client, folder: Path) -> None:
        self.store = MemoryExperienceStore()
        place = place_of(Settings(data_dir=folder))
        assert place is not None
        self._stop = asyncio.Event()
        recorder = ExperienceConsumer(nc, Recorder(self.store), place=place, linger_s=0.005)
        self.working = asyncio.create_task(recorder.run(self._stop))

    async def end(self) -> None:
        self._stop.set()
        await asyncio.gather(self.working, return_exceptions=True)

    async def keeps_one(self, js) -> None:
        """A record is published and stored here."""
        record = a_record(new_id())
        await js.publish(subjects.experience(record.tenant), record.model_dump_json().encode())
        async with asyncio.timeout(30):
            while not await self.store.count():
                await asyncio.sleep(0.02)


async def test_who_keeps_another_store_is_refused_while_somebody_records(nc, js, tmp_path):
    first = Role(nc, tmp_path / "a")
    await first.keeps_one(js)
    with pytest.raises(
        RecordedElsewhere, match=f"{tmp_path}/a/experience: .*{tmp_path}/b/experience would get"
    ) as refused:
        await Role(nc, tmp_path / "b").working
    assert "AOS_INFLUX_URL" in refused.value.next_step
    settings = Settings(bus={"url": nc.connected_url.geturl()}, data_dir=tmp_path / "b", learning={"niceness": 0})
    with pytest.raises(RecordedElsewhere):
        await run_role(settings, asyncio.Event())
    assert not settings.mining_dir.exists()
    assert not settings.experience_file.exists()
    same = Role(nc, tmp_path / "a")
    await first.end()
    await same.keeps_one(js)
    await same.end()
    successor = Role(nc, tmp_path / "b")
    await successor.keeps_one(js)
    await successor.end()


async def test_of_two_that_started_at_the_same_moment_one_finds_out(nc, js, tmp_path):
    roles = [Role(nc, tmp_path / name) for name in "ab"]
    async with asyncio.timeout(60):
        while not any(role.working.done() for role in roles):
            record = a_record(new_id())
            await js.publish(subjects.experience(record.tenant), record.model_dump_json().encode())
            await asyncio.sleep(0.05)
    (refused,) = [role for role in roles if role.working.done()]
    assert isinstance(refused.working.exception(), RecordedElsewhere)
    for role in roles:
        await role.end()


def test_all_who_share_a_folder_share_its_name_by_whatever_path(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "real")
    (tmp_path / "real").mkdir()
    places = [place_of(Settings(data_dir=tmp_path / name)) for name in ("real", "link", "other")]
    ids = [place.store_id for place in places if place]
    assert ids[0] == ids[1] != ids[2]


def test_servers_of_experience_are_no_folders(tmp_path):
    place = place_of(Settings(data_dir=tmp_path, influx={"url": "http://influx:8086"}))
    assert place == Place("influx", "InfluxDB")
