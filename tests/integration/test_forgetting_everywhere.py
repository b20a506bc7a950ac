"""A forgotten task is gone from the bus and the object store, and what another task needs of it stays."""

import asyncio
import base64
import json

import pytest

from agents.running.checkpoint_stream import CheckpointStream
from agents.running.frames import Value
from evolution.store.sqlite_store import SqliteExperienceStore
from gateway.keeping.forgetting import Forgetting
from schemas import checkpoint_subjects, subjects
from schemas.network import TASK, Edge, Network, Node
from schemas.parts import BlobRef, Modality, Part
from schemas.refinement import PlanTemplate
from schemas.task import DeadTask, TaskEvent, TaskEventKind, TaskRecord, TaskResult, TaskState, TaskSubmitted
from tensor_layer.storage.blobs import ObstoreBlobs
from tensor_layer.storage.unused import UnusedContents
from tests.integration.typed_commands import exit_code_of
from tests.unit.evolution.experience_records import a_record

WORDS = "what Ann Marlow asked"


class Traces:
    """What tasks leave, put there as workers put it."""

    def __init__(self, nc, js, folder):
        self.nc, self.js = nc, js
        self.blobs = ObstoreBlobs.from_url(folder.as_uri())
        self.contents = UnusedContents.from_url(folder.as_uri())
        self.forgetting = Forgetting(nc, js, self.contents)

    async def task(self, task_id: str, *contents: BlobRef, state=TaskState.SUCCEEDED, tenant="default") -> None:
        parts = (Part(text=WORDS), *(Part(ref=ref) for ref in contents[:1]))
        result = TaskResult(outputs=tuple(Part(ref=ref) for ref in contents[1:]))
        submission = TaskSubmitted(task_id=task_id, tenant=tenant, parts=parts)
        record = TaskRecord(
            task_id=task_id, tenant=tenant, state=state, title=WORDS, submission=submission, result=result
        )
        bucket = await self.js.key_value(subjects.BUCKET_TASKS)
        await bucket.put(f"{tenant}.{task_id}", record.model_dump_json().encode())
        event = TaskEvent(task_id=task_id, tenant=tenant, kind=TaskEventKind.PLANNED, data={"plan": WORDS})
        await self.js.publish(subjects.event(tenant, task_id), event.model_dump_json().encode())
        place = checkpoint_subjects.checkpoint(f"{tenant}.{task_id}", "", "c1")
        await CheckpointStream(self.nc).put(place, Value("bytes", WORDS.encode()))

    async def letter(self, task_id: str, *contents: BlobRef) -> int:
        task = TaskSubmitted(task_id=task_id, parts=(Part(text=WORDS), *(Part(ref=ref) for ref in contents)))
        payload = base64.b64encode(task.model_dump_json().encode()).decode()
        dead = DeadTask(task_id=task_id, tenant="default", reason=WORDS, code="poison", payload=payload)
        return (await self.js.publish(subjects.dead("default"), dead.model_dump_json().encode())).seq

    async def plan(self, kind: str, founder: str) -> None:
        edge = Edge(source=TASK, target="a", modalities=(Modality.TEXT,))
        network = Network(nodes=(Node(id="a", agent_id="a", skill_id="s"),), edges=(edge,))
        value = PlanTemplate(
            kind=kind, tenant="default", shape="one", vector="", founder=founder, network=network, errands={}, cards={}
        ).model_dump_json()
        await (await self.js.key_value(subjects.BUCKET_PLANS)).put(f"default.{kind}", value.encode())

    async def lying(self) -> set[str]:
        """Every subject of the bus that has something in it."""
        found: set[str] = set()
        for info in await self.js.streams_info():
            of = await self.js.stream_info(info.config.name, subjects_filter=">")
            found |= set(of.state.subjects or {})
        return found


@pytest.fixture
def traces(nc, js, tmp_path):
    return Traces(nc, js, tmp_path / "data" / "blobs")


async def test_nothing_of_a_forgotten_task_is_left_but_what_another_one_shares(traces):
    shared, own, result, buried = [await traces.blobs.put_bytes(word) for word in (b"one", b"two", b"three", b"four")]
    await traces.task("mine", shared, own, result)
    await traces.letter("mine", buried)
    await traces.task("other", shared)
    others = await traces.lying() - {subjects.event("default", "mine"), "$KV.aos_tasks.default.mine"}
    gone = await traces.forgetting.forget("default", ["mine"])
    assert (gone.letters, gone.contents, gone.kept, gone.under_way) == (1, 3, 1, ())
    assert [await traces.blobs.exists(ref) for ref in (shared, own, result, buried)] == [True, False, False, False]
    left = await traces.lying()
    assert not [subject for subject in left if "mine" in subject]
    assert left >= {subject for subject in others if "other" in subject}
    assert await traces.forgetting.forget("default", ["mine"]) == type(gone)()
    assert (await traces.forgetting.forget("default", ["other"])).contents == 1
    assert await traces.lying() & {subjects.dead("default")} == set()


@pytest.mark.parametrize("state", [TaskState.AWAITING_APPROVAL, TaskState.RUNNING])
async def test_a_task_that_has_not_ended_keeps_all_it_has(traces, state):
    ref = await traces.blobs.put_bytes(b"one")
    await traces.task("mine", ref, state=state)
    before = await traces.lying()
    assert (await traces.forgetting.forget("default", ["mine"])).under_way == ("mine",)
    assert await traces.lying() == before
    assert await traces.blobs.exists(ref)


async def test_contents_that_another_bus_may_name_stay_and_that_is_told(traces):
    ref = await traces.blobs.put_bytes(b"one")
    await traces.task("mine", ref)
    await traces.contents.claim("the bus of others")
    forgot = await traces.forgetting.forget("default", ["mine"])
    assert (forgot.contents, forgot.kept) == (0, 1)
    assert "the bus of others" in forgot.problem
    assert await traces.blobs.exists(ref)


async def test_the_same_id_of_another_tenant_is_another_task(traces):
    ref = await traces.blobs.put_bytes(b"one")
    await traces.task("mine", ref, tenant="other")
    assert (await traces.forgetting.forget("default", ["mine"])).contents == 0
    assert await traces.blobs.exists(ref)


async def test_kinds_that_a_forgotten_task_founded_go_and_those_of_nobody_known(traces, js):
    for kind, founder in (("k-1", "mine"), ("k-2", "other"), ("k-3", "")):
        await traces.plan(kind, founder)
    bucket = await js.key_value(subjects.BUCKET_PLANS)
    await bucket.put("default.past", b'{"tenant": "default"}')
    await bucket.put("default.k-4", b'{"examples": [["what Ann asked"]]}')
    assert (await traces.forgetting.forget("default", ["mine"])).plans == 3
    assert sorted(await bucket.keys()) == ["default.k-2", "default.past"]


async def test_a_person_s_tasks_are_forgotten_at_the_terminal(traces, nats_server, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AOS_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("AOS_NATS_URL", nats_server.url)
    store = SqliteExperienceStore(tmp_path / "data" / "experience" / "experience.db")
    await store.record([a_record("mine", labels={"subject": "ann"}), a_record("other")])
    await store.close()
    ref = await traces.blobs.put_bytes(b"one")
    await traces.task("mine", ref)
    command = ["experience", "forget", "--subject", "ann", "--json"]
    assert await asyncio.to_thread(exit_code_of, command) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["tasks"], said["records"], said["contents"], said["under_way"]) == (["mine"], 1, 1, [])
    assert not await traces.blobs.exists(ref)
    assert "$KV.aos_tasks.default.mine" not in await traces.lying()
    assert await asyncio.to_thread(exit_code_of, ["experience", "forget", "--task", "other"]) == 0
    assert "for 30 days after they were last in force" in capsys.readouterr().out
