"""One behaviour for every object store: a local folder, memory, and real S3."""

import asyncio
import hashlib
import json
import os
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import obstore
import pytest

from schemas.base import new_id
from schemas.parts import BlobRef
from tensor_layer.errors import BlobNotFound, BlobStoreUnavailable, BlobTooLarge
from tensor_layer.storage.blobs import CHUNK_BYTES, ObstoreBlobs, key_of
from tests.ports.seaweed import Seaweed

MIB = 1024 * 1024
STORES = ["folder", "memory", "s3"]


@pytest.fixture(scope="session")
def seaweed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seaweed]:
    server = Seaweed(tmp_path_factory.mktemp("seaweed"))
    server.start()
    yield server
    server.stop()


@dataclass
class Shelf:
    """A store, and a look behind the port."""

    blobs: ObstoreBlobs
    kind: str
    folder: Path

    async def keys(self) -> list[str]:
        """All that lies there, but for notes that a content was used."""
        return [key for key in await self.everything() if not key.startswith("uses/")]

    async def everything(self) -> list[str]:
        found = await obstore.list(self.blobs._store).collect_async()
        hidden = [str(path.relative_to(self.folder)) for path in self.folder.rglob("*#*")]
        return sorted([meta["path"] for meta in found] + hidden)


@pytest.fixture(params=STORES)
def shelf(request: pytest.FixtureRequest, tmp_path: Path) -> Shelf:
    folder = tmp_path / "store"
    cache_dir = tmp_path / "cache"
    if request.param == "folder":
        blobs = ObstoreBlobs.from_url(folder.as_uri(), cache_dir=cache_dir)
    elif request.param == "memory":
        blobs = ObstoreBlobs.from_url("memory://", cache_dir=cache_dir)
    else:
        server: Seaweed = request.getfixturevalue("seaweed")
        blobs = ObstoreBlobs.from_url(f"s3://blobs/{new_id()}", server.options, cache_dir=cache_dir)
    return Shelf(blobs, request.param, folder)


async def chunks(*contents: bytes) -> AsyncIterator[bytes]:
    for content in contents:
        yield content


async def many(count: int, content: bytes) -> AsyncIterator[bytes]:
    for _ in range(count):
        yield content


def ref_of(content: bytes) -> BlobRef:
    return BlobRef(digest=f"sha256:{hashlib.sha256(content).hexdigest()}", size_bytes=len(content))


async def test_stored_bytes_come_back_under_their_own_digest(shelf: Shelf):
    ref = await shelf.blobs.put_bytes(b"hello")

    assert ref == ref_of(b"hello")
    assert await shelf.blobs.get(ref) == b"hello"
    assert await shelf.blobs.exists(ref)
    assert await shelf.keys() == [key_of(ref)]


async def test_a_small_stream_is_the_same_blob_as_its_bytes(shelf: Shelf):
    ref = await shelf.blobs.put(chunks(b"hel", b"", b"lo"), limit_bytes=5)

    assert ref == await shelf.blobs.put_bytes(b"hello")
    assert await shelf.keys() == [key_of(ref)]


async def test_nothing_at_all_is_a_blob_too(shelf: Shelf):
    ref = await shelf.blobs.put(chunks(), limit_bytes=0)

    assert ref == ref_of(b"")
    assert await shelf.blobs.get(ref) == b""
    assert [chunk async for chunk in shelf.blobs.stream(ref)] == []
    assert (await shelf.blobs.local_path(ref)).read_bytes() == b""


async def test_a_stream_longer_than_one_chunk_is_stored_whole(shelf: Shelf):
    content = os.urandom(2 * CHUNK_BYTES + 12345)
    pieces = [content[start : start + 700_001] for start in range(0, len(content), 700_001)]

    ref = await shelf.blobs.put(chunks(*pieces), limit_bytes=len(content))

    assert ref == ref_of(content)
    assert await shelf.blobs.get(ref) == content
    assert await shelf.keys() == [key_of(ref)]


async def test_a_stream_is_read_in_chunks_of_at_most_8_mib(shelf: Shelf):
    content = os.urandom(2 * CHUNK_BYTES + 5)
    ref = await shelf.blobs.put_bytes(content)

    read = [chunk async for chunk in shelf.blobs.stream(ref)]

    assert b"".join(read) == content
    assert max(map(len, read)) <= 8 * MIB


@pytest.mark.parametrize("size_bytes", [10, 2 * CHUNK_BYTES])
async def test_past_the_limit_nothing_is_kept(shelf: Shelf, size_bytes: int):
    with pytest.raises(BlobTooLarge, match="limit"):
        await shelf.blobs.put(chunks(b"x" * (size_bytes - 1), b"y"), limit_bytes=size_bytes - 1)

    assert await shelf.keys() == []


async def test_a_sender_that_hangs_up_leaves_nothing_and_its_own_error(shelf: Shelf):
    async def broken() -> AsyncIterator[bytes]:
        yield b"x" * (CHUNK_BYTES + 1)
        raise ConnectionResetError("the client is gone")

    with pytest.raises(ConnectionResetError, match="the client is gone"):
        await shelf.blobs.put(broken(), limit_bytes=10 * CHUNK_BYTES)

    assert await shelf.keys() == []


async def test_a_cancelled_upload_leaves_nothing_visible(shelf: Shelf):
    under_way = asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        yield b"x" * (2 * CHUNK_BYTES)
        under_way.set()
        await asyncio.Event().wait()

    upload = asyncio.create_task(shelf.blobs.put(endless(), limit_bytes=10 * CHUNK_BYTES))
    await under_way.wait()
    upload.cancel()
    with pytest.raises(asyncio.CancelledError):
        await upload

    assert [key for key in await shelf.keys() if key.startswith("blobs/")] == []


async def test_the_same_content_many_times_at_once_is_one_blob(shelf: Shelf):
    block = os.urandom(MIB)

    refs = await asyncio.gather(*(shelf.blobs.put(many(10, block), limit_bytes=10 * MIB) for _ in range(4)))

    assert len(set(refs)) == 1
    assert await shelf.keys() == [key_of(refs[0])]
    assert await shelf.blobs.get(refs[0]) == block * 10


async def test_a_reference_to_nothing_says_so(shelf: Shelf):
    missing = ref_of(b"never stored")

    assert not await shelf.blobs.exists(missing)
    with pytest.raises(BlobNotFound, match="upload it first"):
        await shelf.blobs.get(missing)
    with pytest.raises(BlobNotFound):
        await anext(shelf.blobs.stream(missing))
    with pytest.raises(BlobNotFound):
        await shelf.blobs.local_path(missing)


async def test_a_local_file_has_the_content_and_is_fetched_once(shelf: Shelf):
    content = os.urandom(CHUNK_BYTES + 1)
    ref = await shelf.blobs.put_bytes(content)

    paths = await asyncio.gather(*(shelf.blobs.local_path(ref) for _ in range(5)))

    assert len(set(paths)) == 1
    assert paths[0].read_bytes() == content
    inode = paths[0].stat().st_ino
    assert (await shelf.blobs.local_path(ref)).stat().st_ino == inode


async def test_leftovers_of_killed_uploads_are_swept_by_age(shelf: Shelf):
    kept = await shelf.blobs.put_bytes(b"kept")
    await obstore.put_async(shelf.blobs._store, "uploads/abandoned", b"half")
    if shelf.kind == "folder":
        (shelf.folder / "uploads" / "abandoned-while-writing#1").write_bytes(b"half")

    assert await shelf.blobs.sweep_leftovers(older_than_s=3600) == 0
    # S3 counts in whole seconds and both clocks are this machine's: the future is later than any of them.
    assert await shelf.blobs.sweep_leftovers(older_than_s=-5) == (2 if shelf.kind == "folder" else 1)
    assert await shelf.keys() == [key_of(kept)]


async def test_two_stores_over_one_folder_see_the_same_blobs(tmp_path: Path):
    first = ObstoreBlobs.from_url(tmp_path.as_uri())
    second = ObstoreBlobs.from_url(tmp_path.as_uri())

    ref = await first.put_bytes(b"shared")

    assert await second.get(ref) == b"shared"
    assert await second.local_path(ref) == tmp_path / key_of(ref)


async def test_a_store_that_does_not_answer_is_said_to_be_unavailable(tmp_path: Path, unused_tcp_port: int):
    options = {"endpoint": f"http://127.0.0.1:{unused_tcp_port}", "access_key_id": "a", "secret_access_key": "b"}
    blobs = ObstoreBlobs.from_url("s3://bucket", {**options, "region": "us-east-1"}, cache_dir=tmp_path)

    with pytest.raises(BlobStoreUnavailable):
        await blobs.put_bytes(b"hello")
    with pytest.raises(BlobStoreUnavailable):
        await blobs.get(ref_of(b"hello"))


@pytest.mark.parametrize("url", ["ftp://host/x", "file://", "s3://", "blobs", ""])
def test_a_url_that_names_no_store_is_refused(url: str):
    with pytest.raises(ValueError, match="use file:///folder, memory:// or s3://bucket/prefix"):
        ObstoreBlobs.from_url(url)


def test_a_setting_that_s3_does_not_know_is_refused():
    with pytest.raises(ValueError, match="bucket"):
        ObstoreBlobs.from_url("s3://bucket", {"acess_key": "typo"})


def run_alone(script: str, *arguments: str) -> str:
    """The output of a fresh interpreter, so that memory and limits are measured for the upload alone."""
    command = [sys.executable, "-c", textwrap.dedent(script), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=120).stdout.strip()


LARGE_UPLOAD = """
    import asyncio, json, resource, sys
    from pathlib import Path
    from tensor_layer.storage.blobs import ObstoreBlobs

    def peak_mib():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

    async def pieces():
        for number in range(200):
            yield bytes([number]) * (1024 * 1024)

    async def main():
        url, options, cache = sys.argv[1], json.loads(sys.argv[2]), Path(sys.argv[3])
        blobs = ObstoreBlobs.from_url(url, options, cache_dir=cache)
        await blobs.put_bytes(b"warm")
        before = peak_mib()
        ref = await blobs.put(pieces(), limit_bytes=2 * 1024**3)
        path = await blobs.local_path(ref)
        print(ref.size_bytes, path.stat().st_size, round(peak_mib() - before))

    asyncio.run(main())
"""


@pytest.mark.parametrize("kind", ["folder", "s3"])
def test_200_mb_pass_through_bounded_memory(kind: str, tmp_path: Path, request: pytest.FixtureRequest):
    options = request.getfixturevalue("seaweed").options if kind == "s3" else {}
    url = (tmp_path / "store").as_uri() if kind == "folder" else f"s3://blobs/{new_id()}"

    printed = run_alone(LARGE_UPLOAD, url, json.dumps(options), str(tmp_path / "cache"))

    stored, readable, growth_mib = map(int, printed.split())
    assert stored == readable == 200 * MIB
    assert growth_mib < 100


FULL_DISK = """
    import asyncio, resource, sys
    from tensor_layer.errors import BlobStoreUnavailable
    from tensor_layer.storage.blobs import ObstoreBlobs

    async def pieces():
        for _ in range(20):
            yield bytes(1024 * 1024)

    async def main():
        blobs = ObstoreBlobs.from_url(sys.argv[1])
        resource.setrlimit(resource.RLIMIT_FSIZE, (1024 * 1024, 1024 * 1024))
        for put in (blobs.put(pieces(), 2**30), blobs.put_bytes(bytes(4 * 1024 * 1024))):
            try:
                await put
            except BlobStoreUnavailable as error:
                print("unavailable:", error)
        ref = await blobs.put_bytes(b"small still fits")
        print(await blobs.get(ref))

    asyncio.run(main())
"""


def test_a_disk_without_room_is_said_to_be_unavailable_and_recovers(tmp_path: Path):
    """A file-size limit stands in for the full disk: the kernel refuses the write in the same place."""
    printed = run_alone(FULL_DISK, tmp_path.as_uri()).splitlines()

    assert [line.startswith("unavailable: ") for line in printed] == [True, True, False]
    assert printed[2] == str(b"small still fits")
    assert len(list((tmp_path / "blobs").rglob("*"))) == 2
