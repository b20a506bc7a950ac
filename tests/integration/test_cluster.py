"""A bus of three servers: how many copies it keeps, and that what is written anywhere is read everywhere."""

import asyncio
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import pytest
from nats.aio.client import Client
from nats.js import JetStreamContext

from agents.running.checkpoint_stream import CheckpointStream
from agents.running.frames import Value
from gateway.bus.connection import connect
from gateway.bus.ensuring import ensure
from gateway.bus.identity import identity_of
from gateway.bus.streams import Quotas, bucket_configs, stream_configs
from gateway.errors import CopiesImpossible
from gateway.foundation import open_bus
from gateway.settings import Settings
from gateway.settings.sections import Bus
from gateway.task_ledger import TaskLedger
from schemas import checkpoint_subjects, subjects
from schemas.base import new_id, now
from schemas.task import TaskRecord, TaskState
from tests.stack.nats_cluster import ClusterNode, NatsCluster

pytestmark = pytest.mark.timeout(120)

ONE, THREE = Quotas(replicas=1).scaled(0.02), Quotas(replicas=3).scaled(0.02)
PLACES = len(stream_configs(ONE)) + len(bucket_configs(ONE))


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsCluster]:
    """Started once for all of these tests."""
    cluster = NatsCluster(tmp_path_factory.mktemp("cluster"))
    try:
        asyncio.run(cluster.start())
        yield cluster
    finally:
        asyncio.run(cluster.stop())


@asynccontextmanager
async def client_of(url: str) -> AsyncIterator[Client]:
    client = await connect(url, "test")
    try:
        yield client
    finally:
        await client.close()


@contextmanager
def frozen(*nodes: ClusterNode) -> Iterator[None]:
    for node in nodes:
        node.signal(signal.SIGSTOP)
    try:
        yield
    finally:
        for node in nodes:
            node.signal(signal.SIGCONT)


async def copies(js: JetStreamContext) -> list[int | None]:
    return [info.config.num_replicas for info in await js.streams_info()]


async def settled(js: JetStreamContext) -> None:
    """Wait until every copy is as the leader has it."""
    async with asyncio.timeout(60):
        while not all(copy.current for info in await js.streams_info() for copy in (info.cluster.replicas or ())):
            await asyncio.sleep(0.05)


async def test_copies_are_added_to_what_is_there_and_never_taken_away(cluster):
    async with client_of(cluster.url) as nc:
        js = nc.jetstream(timeout=10)
        await ensure(js, ONE, nc.max_payload)
        assert await copies(js) == [1] * PLACES
        with pytest.raises(CopiesImpossible, match="5 copies"):
            await ensure(js, Quotas(replicas=5).scaled(0.02), nc.max_payload)
        await ensure(js, THREE, nc.max_payload)
        await ensure(js, ONE, nc.max_payload)  # a role that somebody started with the default
        assert await copies(js) == [3] * PLACES
        await settled(js)
        await (await js.key_value(subjects.BUCKET_POLICY)).put("kept", b"by two of three")


async def test_a_task_is_found_at_a_server_whose_copy_is_behind(cluster):
    """Whoever saw a task accepted asks for it at once, at another door that is connected to another server."""
    async with client_of(cluster.url) as nc:
        await ensure(nc.jetstream(timeout=10), THREE, nc.max_payload)
        leader = await cluster.leader_of(nc, f"KV_{subjects.BUCKET_TASKS}")
    behind = next(node for node in cluster.nodes if node is not leader)
    others = [node for node in cluster.nodes if node is not behind]
    record = TaskRecord(task_id=new_id(), tenant="default", state=TaskState.QUEUED, submitted_at=now(), title="t")
    async with client_of(leader.url) as writer, client_of(behind.url) as reader:
        writes = await TaskLedger.open(writer, writer.jetstream(timeout=30))
        reads = await TaskLedger.open(reader, reader.jetstream(timeout=30))
        with frozen(behind):
            assert await writes.create(record) is not None
        with frozen(*others):
            finding = asyncio.create_task(reads.find("default", record.task_id))
            await asyncio.wait({finding}, timeout=0.3)  # long enough for the copy beside it to say that there is none
        assert await finding is not None


async def test_of_two_requests_with_one_key_both_find_the_task_while_its_record_is_on_its_way(cluster):
    """The leader refuses the second before the first is stored: its sender is not told that there is no such task."""
    async with client_of(cluster.url) as nc:
        await ensure(nc.jetstream(timeout=10), THREE, nc.max_payload)
        leader = await cluster.leader_of(nc, f"KV_{subjects.BUCKET_TASKS}")
    record = TaskRecord(task_id=new_id(), tenant="default", state=TaskState.QUEUED, submitted_at=now(), title="t")
    async with client_of(leader.url) as nc:
        doors = [await TaskLedger.open(nc, nc.jetstream(timeout=30)) for _ in range(2)]
        with frozen(*(node for node in cluster.nodes if node is not leader)):
            reserving = [asyncio.create_task(door.reserve(record)) for door in doors]
            await asyncio.wait(reserving, timeout=0.3, return_when=asyncio.FIRST_EXCEPTION)
        first, second = await asyncio.gather(*reserving)
    assert first.revision == second.revision


async def test_what_a_worker_stored_is_read_by_the_next_one_at_a_server_whose_copy_is_behind(cluster):
    async with client_of(cluster.url) as nc:
        await ensure(nc.jetstream(timeout=10), THREE, nc.max_payload)
        leader = await cluster.leader_of(nc, subjects.STREAM_CHECKPOINTS)
    behind = next(node for node in cluster.nodes if node is not leader)
    others = [node for node in cluster.nodes if node is not behind]
    subject = checkpoint_subjects.checkpoint("thread", "", "1")
    async with client_of(leader.url) as writer, client_of(behind.url) as reader:
        with frozen(behind):
            await CheckpointStream(writer).put(subject, Value("bytes", b"done"))
        with frozen(*others):
            reading = asyncio.create_task(CheckpointStream(reader).read(checkpoint_subjects.of_thread("thread")))
            await asyncio.wait({reading}, timeout=0.3)
        assert list(await reading) == [subject]


async def test_a_role_waits_for_a_cluster_that_has_lost_most_of_its_servers(cluster, caplog):
    caplog.set_level("WARNING")
    down = cluster.nodes[1:]
    for node in down:
        node.kill()
    settings = Settings(bus=Bus(url=cluster.url, replicas=3, quota_scale=0.02))

    async def role() -> bool:
        async with open_bus(settings, "role", stop=asyncio.Event()) as bus:
            return bool(await identity_of(bus.js))

    working = asyncio.create_task(role())
    async with asyncio.timeout(60):
        while "asking again" not in caplog.text:
            await asyncio.sleep(0.05)
    for node in down:
        await node.start()
    assert await asyncio.wait_for(working, 60)
