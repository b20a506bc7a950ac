"""The whole pipeline: a stream of tensors over the real bus to another process, by reference; and back from cold."""

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
from nats.aio.client import Client

from gateway.embedded.nats_server import NatsServer
from schemas.tensor import TensorMessage
from tensor_layer.errors import TensorDamaged, TensorNotFound
from tensor_layer.stream.processor import StreamLimits, TensorStreamProcessor
from tensor_layer.stream.tensor import Tensor, from_numpy

RECEIVER = """
import asyncio, json, sys
from pathlib import Path
import nats
from schemas.tensor import TensorMessage
from tensor_layer.stream.processor import TensorStreamProcessor

async def main():
    processor = TensorStreamProcessor(Path(sys.argv[1]))
    connection = await nats.connect(sys.argv[2])
    done = asyncio.Event()

    async def answer(message):
        tensor = await processor.open(TensorMessage.model_validate_json(message.data))
        said = {"id": tensor.tensor_id, "sum": float(tensor.array.sum()), "owner": tensor.array.flags.owndata}
        await message.respond(json.dumps(said).encode())

    await connection.subscribe("tensors.test", cb=answer)
    await connection.flush()
    print("ready", flush=True)
    await done.wait()

asyncio.run(main())
"""


def layers(count: int, values: int = 500_000) -> list[Tensor]:
    rng = np.random.default_rng(4)
    return [from_numpy(rng.standard_normal(values).astype(np.float32)) for _ in range(count)]


async def stream(tensors: list[Tensor]) -> AsyncIterator[Tensor]:
    for tensor in tensors:
        yield tensor


@pytest.fixture
async def receiver(tmp_path: Path, nats_server: NatsServer) -> AsyncIterator[None]:
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", RECEIVER, str(tmp_path / "tensors"), nats_server.url, stdout=asyncio.subprocess.PIPE
    )
    assert child.stdout is not None
    assert await asyncio.wait_for(child.stdout.readline(), 30) == b"ready\n"
    yield
    child.kill()
    await child.wait()


async def test_another_process_gets_every_tensor_in_order_and_only_references_travel(
    tmp_path: Path, nc: Client, receiver: None
):
    processor = TensorStreamProcessor(tmp_path / "tensors")
    tensors = [*layers(4), from_numpy(np.float32(2.5)), from_numpy(np.zeros((0, 3)))]
    heard = []
    async for message in processor.process_stream(stream(tensors)):
        body = message.model_dump_json().encode()
        assert len(body) < 1500
        heard.append((await nc.request("tensors.test", body, timeout=20)).data.decode())
    await processor.close()

    assert [tensor.tensor_id in said for tensor, said in zip(tensors, heard, strict=True)] == [True] * 6
    assert all('"owner": false' in said for said in heard[:4])


async def test_a_tensor_that_left_the_shared_folder_comes_from_the_cold_one(tmp_path: Path):
    room_for_two = StreamLimits(memory_bytes=1, mapped_bytes=2 * 2_004_096)
    processor = TensorStreamProcessor(tmp_path, room_for_two)
    messages = [message async for message in processor.process_stream(stream(layers(5)))]

    opened = [await processor.open(message) for message in messages]
    await processor.close()

    assert [tensor.tensor_id for tensor in opened] == [tensor.tensor_id for tensor in layers(5)]


async def test_a_stream_of_checkpoints_is_kept_as_deltas(tmp_path: Path):
    words = np.random.default_rng(0).integers(0x3C00, 0x3D00, 200_000).astype(np.uint16)
    checkpoints = []
    for step in range(4):
        words = words.copy()
        words[step::211] ^= 1
        checkpoints.append(from_numpy(words, "bfloat16"))
    processor = TensorStreamProcessor(tmp_path)

    async for message in processor.process_stream(stream(checkpoints)):
        assert message.codec == "mapped"
    await processor.close()
    sizes = sorted(path.stat().st_size for path in (tmp_path / "packed").iterdir())

    assert sizes[0] * 8 < checkpoints[0].size_bytes


async def test_a_message_that_says_another_shape_is_refused(tmp_path: Path):
    processor = TensorStreamProcessor(tmp_path)
    (message,) = [m async for m in processor.process_stream(stream(layers(1)))]

    with pytest.raises(TensorDamaged, match="differ"):
        await processor.open(message.model_copy(update={"shape": (1000, 500)}))
    with pytest.raises(TensorNotFound):
        await processor.open(message.model_copy(update={"tensor_id": "0" * 64}))
    with pytest.raises(TensorDamaged, match="codec"):
        await processor.open(TensorMessage(tensor_id="a", dtype="bool", shape=(), codec="gzip", frame=b"x"))


async def test_stat_tells_what_the_levels_hold(tmp_path: Path):
    processor = TensorStreamProcessor(tmp_path)
    tensor = layers(1)[0]
    facts = await processor.put(tensor)
    await processor.get(tensor.tensor_id)

    said = await processor.stat()
    await processor.close()

    assert facts.raw_bytes == 2_000_000 > facts.packed_bytes
    assert said["mapped"]["files"] == 1
    assert said["cache"]["memory_hits"] == 1
