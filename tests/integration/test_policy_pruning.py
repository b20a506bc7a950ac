"""Old policies make room on a real bus and a real object store; what is needed, or may be again, stays."""

import asyncio
import hashlib
from dataclasses import replace
from datetime import timedelta

import pytest

from evolution.policies.bucket import PolicyBucket
from evolution.policies.changes import Who, awaiting, promoted, referring, started, stopped
from evolution.policies.parts import StoredParts
from evolution.policies.pruning import Keeping, prune, reasons
from gateway.policy_desk import prune_on_schedule, registry_over
from gateway.settings import Settings
from schemas import subjects
from schemas.base import now
from schemas.parts import BlobRef
from schemas.policy import dumps
from schemas.policy_state import PolicyExperiment, PolicyState
from tensor_layer.storage.blobs import ObstoreBlobs
from tests.integration.test_policy_registry import a_policy

ME = Who("anna", "because")
NEWEST_TWO = Keeping(newest=2, within=timedelta(days=30))


@pytest.fixture
def bucket(js):
    return PolicyBucket(js)


@pytest.fixture
def store_url(tmp_path):
    return (tmp_path / "blobs").as_uri()


@pytest.fixture
def blobs(store_url):
    return ObstoreBlobs.from_url(store_url)


@pytest.fixture
def parts(store_url):
    return StoredParts(store_url)


def learned(number) -> str:
    return f"learned-20261101T0000{number:02d}-ab"


async def publish(bucket, blobs, *names, tenant="default", **contents) -> dict[str, BlobRef]:
    """Versions with a part of their own each, and with ``contents``: part name to bytes."""
    refs = {}
    for name in names:
        found = {part: await blobs.put_bytes(content) for part, content in contents.items()}
        refs[name] = found["past"] = await blobs.put_bytes(f"what {tenant} {name} remembers".encode())
        snapshot = a_policy(name, artefacts={part: ref.digest for part, ref in found.items()})
        await bucket.put(tenant, dumps(snapshot))
    return refs


async def change(bucket, *changes):
    for one in changes:
        held = await bucket.state("default")
        await bucket.write(held, one(held.state))


def test_what_was_in_force_lately_stays_and_what_was_so_long_ago_does_not():
    moment = now()
    states = [
        PolicyState(tenant="default", active=f"learned-{n}", changed_at=moment - timedelta(days=days))
        for n, days in enumerate((90, 40, 20, 1))
    ]
    names = [f"learned-{n}" for n in range(4)] + ["by-hand", "learned-never"]
    kept = reasons(states[-1], states, names, Keeping(newest=1, within=timedelta(days=30)), moment)
    # learned-1 was in force until twenty days ago.
    assert set(kept) == {"learned-1", "learned-2", "learned-3", "by-hand", "learned-never"}
    assert kept["learned-3"] == "the state names it"
    assert kept["by-hand"] == "not the learner's own"
    everything = Keeping(newest=1, within=timedelta(days=30), everything=True)
    assert "by-hand" not in reasons(states[-1], states, names, everything, moment)


async def test_what_is_in_use_or_was_tried_stays_and_the_rest_goes_with_its_parts(bucket, blobs, parts):
    refs = await publish(bucket, blobs, *map(learned, range(10)), "by-hand")
    trial = PolicyExperiment(name="exp", candidate=learned(3), share=0.1)
    await change(
        bucket,
        lambda state: promoted(state, learned(0), ME),
        lambda state: promoted(state, learned(1), ME),
        lambda state: referring(state, learned(2), ME),
        lambda state: started(state, trial, ME),
        lambda state: stopped(state, ME),
        lambda state: awaiting(state, learned(4), ME),
    )
    would = await prune(bucket, parts, "default", NEWEST_TWO, dry_run=True)
    assert len(await bucket.names("default")) == 11
    done = await prune(bucket, parts, "default", NEWEST_TWO)
    assert would == replace(done, freed_bytes=0)
    assert done.gone == tuple(map(learned, (5, 6, 7)))
    assert (done.parts, done.freed_bytes) == (3, 3 * len(f"what default {learned(5)} remembers"))
    assert set(await bucket.names("default")) == {*map(learned, (0, 1, 2, 3, 4, 8, 9)), "by-hand"}
    there = {name: await blobs.exists(ref) for name, ref in refs.items()}
    assert there == {name: name not in done.gone for name in refs}
    assert (await prune(bucket, parts, "default", NEWEST_TWO)).gone == ()


async def test_parts_that_another_version_names_stay_whosever_it_is(bucket, blobs, parts):
    shared, lone = b"words of all", b"words of old ones"
    old = [learned(n) for n in range(3)]
    await publish(bucket, blobs, *old, words=shared, more=lone)
    await publish(bucket, blobs, learned(9), tenant="other", words=shared)
    await publish(bucket, blobs, learned(8))
    done = await prune(bucket, parts, "default", Keeping(newest=1))
    assert done.gone == tuple(old)
    assert done.parts == 4
    assert await blobs.exists(ref_of(shared))
    assert not await blobs.exists(ref_of(lone))
    assert await bucket.names("other") == (learned(9),)


def ref_of(content) -> BlobRef:
    return BlobRef(digest=f"sha256:{hashlib.sha256(content).hexdigest()}", size_bytes=len(content))


async def test_a_part_that_a_version_published_meanwhile_names_is_put_back(bucket, blobs, store_url):
    await publish(bucket, blobs, learned(0), learned(1), words=b"words")

    class Interrupted(StoredParts):
        async def set_aside(self, digest):
            size = await super().set_aside(digest)
            if learned(2) not in await bucket.names("default"):
                snapshot = a_policy(learned(2), artefacts={"words": ref_of(b"words").digest})
                await bucket.put("default", dumps(snapshot))
            return size

    await publish(bucket, blobs, "learned-20261102T000000-zz")
    done = await prune(bucket, Interrupted(store_url), "default", Keeping(newest=1))
    assert done.gone == (learned(0), learned(1))
    assert done.parts == 2
    assert await blobs.get(ref_of(b"words")) == b"words"


async def test_while_a_version_is_damaged_no_parts_are_removed(js, bucket, blobs, parts):
    refs = await publish(bucket, blobs, *map(learned, range(3)))
    kv = await js.key_value(subjects.BUCKET_POLICY)
    await kv.put(subjects.policy_version_key("other", learned(7)), b"edited by hand")
    done = await prune(bucket, parts, "default", Keeping(newest=1))
    assert (done.gone, done.parts) == ((learned(0), learned(1)), 0)
    assert done.unread == (f"other: {learned(7)}",)
    assert all([await blobs.exists(ref) for ref in refs.values()])


async def test_the_schedule_prunes_every_tenant(js, bucket, blobs, tmp_path):
    settings = Settings(data_dir=tmp_path, learning={"keep_versions": 1})
    assert settings.blobs_dir.absolute() == (tmp_path / "blobs").absolute()
    for tenant in ("default", "other"):
        await publish(bucket, blobs, *map(learned, range(3)), tenant=tenant)
    stop = asyncio.Event()
    running = asyncio.create_task(prune_on_schedule(js, settings, stop, every_s=0.05))
    async with asyncio.timeout(30):
        while len(await bucket.everything()) > 2:
            await asyncio.sleep(0.02)
    stop.set()
    await asyncio.wait_for(running, 20)
    assert await bucket.everything() == (("default", learned(2)), ("other", learned(2)))


async def test_versions_that_are_gone_are_gone_from_the_list_too(js, bucket, blobs, parts):
    await publish(bucket, blobs, *map(learned, range(3)))
    await prune(bucket, parts, "default", Keeping(newest=1))
    listed = await registry_over(js, None).listed("default")
    assert [one.name for one in listed[1:]] == [learned(2)]
