import asyncio
import hashlib
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from schemas.parts import BlobRef
from tensor_layer.errors import BlobStoreUnavailable
from tensor_layer.storage.download_cache import DownloadCache


class Remote:
    """A remote store that counts its downloads."""

    def __init__(self) -> None:
        self.contents: dict[str, bytes] = {}
        self.downloads: list[str] = []

    def add(self, content: bytes) -> BlobRef:
        ref = BlobRef(digest=f"sha256:{hashlib.sha256(content).hexdigest()}", size_bytes=len(content))
        self.contents[ref.digest] = content
        return ref

    async def stream(self, ref: BlobRef) -> AsyncIterator[bytes]:
        self.downloads.append(ref.digest)
        await asyncio.sleep(0)
        yield self.contents[ref.digest]

    async def path(self, cache: DownloadCache, ref: BlobRef) -> Path:
        return await cache.path(ref, ref.size_bytes, self.stream)


def age(path: Path, seconds: float) -> None:
    moment = time.time() - seconds
    os.utime(path, (moment, moment))


def kept_in(folder: Path) -> list[bytes]:
    return sorted(path.read_bytes() for path in folder.iterdir())


async def test_a_copy_is_downloaded_once_also_for_another_process(tmp_path: Path):
    remote = Remote()
    ref = remote.add(b"content")
    cache = DownloadCache(tmp_path, 100)

    paths = await asyncio.gather(*(remote.path(cache, ref) for _ in range(10)))
    again = await remote.path(DownloadCache(tmp_path, 100), ref)

    assert {again, *paths} == {tmp_path / ref.digest.removeprefix("sha256:")}
    assert again.read_bytes() == b"content"
    assert len(remote.downloads) == 1


async def test_the_copy_used_longest_ago_makes_room(tmp_path: Path):
    remote = Remote()
    cache = DownloadCache(tmp_path, 20, in_use_s=60)
    first, second, third = (remote.add(letter * 10) for letter in (b"a", b"b", b"c"))
    age(await remote.path(cache, first), 100)
    age(await remote.path(cache, second), 200)

    await remote.path(cache, third)

    assert [content[:1] for content in kept_in(tmp_path)] == [b"a", b"c"]


async def test_copies_in_use_stay_and_the_limit_holds(tmp_path: Path):
    remote = Remote()
    cache = DownloadCache(tmp_path, 20, in_use_s=60)
    await remote.path(cache, remote.add(b"a" * 15))

    with pytest.raises(BlobStoreUnavailable, match="Raise its limit or try again later"):
        await remote.path(cache, remote.add(b"b" * 15))

    assert kept_in(tmp_path) == [b"a" * 15]


async def test_using_a_copy_keeps_it_young(tmp_path: Path):
    remote = Remote()
    cache = DownloadCache(tmp_path, 20, in_use_s=60)
    ref = remote.add(b"a" * 15)
    age(await remote.path(cache, ref), 1000)

    await remote.path(cache, ref)

    with pytest.raises(BlobStoreUnavailable):
        await remote.path(cache, remote.add(b"b" * 15))


async def test_wrong_bytes_from_the_store_are_not_handed_on(tmp_path: Path):
    remote = Remote()
    ref = remote.add(b"right")
    remote.contents[ref.digest] = b"wrong"

    with pytest.raises(BlobStoreUnavailable, match="other bytes"):
        await remote.path(DownloadCache(tmp_path, 100), ref)

    assert kept_in(tmp_path) == []


async def test_a_caller_that_gives_up_does_not_take_the_copy_from_the_others(tmp_path: Path):
    remote = Remote()
    ref = remote.add(b"content")
    cache = DownloadCache(tmp_path, 100)
    callers = [asyncio.create_task(remote.path(cache, ref)) for _ in range(2)]
    while not remote.downloads:
        await asyncio.sleep(0.001)
    callers[0].cancel()

    assert (await callers[1]).read_bytes() == b"content"
    assert len(remote.downloads) == 1
