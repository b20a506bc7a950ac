"""Who follows a bucket does not remember keys for ever that expired, or were purged without a marker."""

import asyncio

from agents.registry import kv_feed
from agents.registry.kv_feed import follow, stream_of, subject_of
from schemas.subjects import BUCKET_PLANS

PATIENCE_S = 30.0


async def test_keys_that_vanished_unheard_are_told_as_removed_once_they_are_many(js, monkeypatch):
    monkeypatch.setattr(kv_feed, "UNLISTED_MAX", 10)
    bucket, told = await js.key_value(BUCKET_PLANS), []
    await bucket.put("default.stays", b"1")

    async def listen() -> None:
        async for entry in follow(js, BUCKET_PLANS):
            told.append((entry.key, entry.removed))
            heard.set()

    async def until(key: str, *, removed: bool) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while (key, removed) not in told:
                heard.clear()
                await heard.wait()

    heard = asyncio.Event()
    listening = asyncio.create_task(listen())
    try:
        await until("default.stays", removed=False)
        for number in range(12):
            await bucket.put(f"default.gone-{number}", b"1")
            await until(f"default.gone-{number}", removed=False)
            await js.purge_stream(stream_of(BUCKET_PLANS), subject=subject_of(BUCKET_PLANS, f"default.gone-{number}"))
        await bucket.put("default.last", b"1")
        await until("default.gone-0", removed=True)
        await until("default.last", removed=False)
        assert ("default.stays", True) not in told
        assert told.count(("default.stays", False)) == 1
    finally:
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
