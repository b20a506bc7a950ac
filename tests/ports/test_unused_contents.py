"""Contents leave every object store for good, and one that somebody begins to use meanwhile does not."""

import asyncio
import os
import subprocess
import sys
import textwrap
from datetime import datetime

import obstore
import pytest

from tensor_layer.errors import ContentsOfAnother
from tensor_layer.storage.blobs import key_of
from tensor_layer.storage.unused import SWEPT_BY, UnusedContents
from tests.ports.test_blobs import Shelf, seaweed, shelf

__all__ = ["seaweed", "shelf"]


@pytest.fixture
def unused(shelf: Shelf) -> UnusedContents:
    return UnusedContents(shelf.blobs._store, shelf.folder.resolve() if shelf.kind == "folder" else None)


async def test_what_was_not_used_since_is_gone_with_all_its_traces(shelf: Shelf, unused: UnusedContents):
    old = await shelf.blobs.put_bytes(b"old")
    assert await shelf.blobs.put_bytes(b"old") == old
    moment = await unused.moment()
    young = await shelf.blobs.put_bytes(b"young")
    assert [digest async for digest in unused.older(moment)] == [old.digest]
    assert await unused.remove(old.digest, moment) == 3
    assert await unused.remove(young.digest, moment) is None
    assert await shelf.everything() == [key_of(young)]
    assert await unused.remove(old.digest, moment) is None


async def test_what_is_used_again_stays_however_old(shelf: Shelf, unused: UnusedContents):
    ref = await shelf.blobs.put_bytes(b"again")
    moment = await unused.moment()
    assert await shelf.blobs.keep(ref)
    assert await unused.remove(ref.digest, moment) is None
    assert await shelf.blobs.get(ref) == b"again"
    later = await unused.moment()
    assert await shelf.blobs.put_bytes(b"again") == ref
    assert await unused.remove(ref.digest, later) is None
    assert await unused.remove(ref.digest, await unused.moment()) == 5
    assert not await shelf.blobs.keep(ref)
    assert await shelf.everything() == []


async def test_one_alone_removes_contents_of_a_store(shelf: Shelf, unused: UnusedContents):
    for _ in range(2):
        await unused.claim("the first bus")
    with pytest.raises(ContentsOfAnother, match=r"removed by the first bus, and this is the second.*remove the object"):
        await unused.claim("the second")
    await obstore.delete_async(shelf.blobs._store, SWEPT_BY)
    await unused.claim("the second")


async def test_a_use_is_seen_by_the_removal_or_the_removal_by_the_use(shelf: Shelf, unused: UnusedContents):
    """Whoever was told that the content is there finds it afterwards."""
    for turn in range(5 if shelf.kind == "s3" else 50):
        content = b"turn %d" % turn
        ref = await shelf.blobs.put_bytes(content)
        moment = await unused.moment()
        kept, _ = await asyncio.gather(shelf.blobs.keep(ref), unused.remove(ref.digest, moment))
        assert await shelf.blobs.exists(ref) or not kept
        if not kept:
            assert await shelf.blobs.put_bytes(content) == ref
        assert await shelf.blobs.get(ref) == content


async def test_the_next_run_finishes_what_a_killed_one_set_aside(shelf: Shelf, unused: UnusedContents):
    gone, used = await shelf.blobs.put_bytes(b"gone"), await shelf.blobs.put_bytes(b"used")
    moment = await unused.moment()
    assert await shelf.blobs.keep(used)
    for ref in (gone, used):
        await obstore.rename_async(
            shelf.blobs._store, key_of(ref), f"uploads/unused-{ref.digest.removeprefix('sha256:')}"
        )
    assert await unused.settle(moment) == 1
    assert await shelf.blobs.get(used) == b"used"
    assert await shelf.keys() == [key_of(used)]


def test_a_process_killed_while_it_removes_loses_nothing_that_is_kept(tmp_path):
    """Killed at a random moment of removing 400 contents, while every tenth of them is used again."""
    folder = tmp_path / "store"
    script = textwrap.dedent(f"""
        import asyncio
        from tensor_layer.storage.blobs import ObstoreBlobs
        from tensor_layer.storage.unused import SWEPT_BY, UnusedContents
        async def main():
            blobs = ObstoreBlobs.from_url("{folder.as_uri()}")
            refs = [await blobs.put_bytes(b"content %d" % n) for n in range(400)]
            unused = UnusedContents.from_url("{folder.as_uri()}")
            moment = await unused.moment()
            for ref in refs[::10]:
                assert await blobs.keep(ref)
            print(moment.isoformat(), flush=True)
            for ref in refs:
                await unused.remove(ref.digest, moment)
        asyncio.run(main())
    """)
    victim = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, cwd=os.getcwd())
    moment = datetime.fromisoformat(victim.stdout.readline().strip())
    while sum(1 for _ in (folder / "blobs").rglob("*") if _.is_file()) > 390:
        assert victim.poll() is None
    victim.kill()
    victim.wait()

    async def the_next_run() -> int:
        unused = UnusedContents.from_url(folder.as_uri())
        await unused.settle(moment)
        async for digest in unused.older(moment):
            await unused.remove(digest, moment)
        return len([path for path in (folder / "blobs").rglob("*") if path.is_file()])

    assert asyncio.run(the_next_run()) == 40
    assert not list((folder / "uploads").glob("*"))
