"""Makes versions of what was learned: large parts to the object store, the file to the bucket. Called by ``school``."""

import asyncio
import logging
import secrets

from agents.matching.live.snapshots import Title, artefacts_of, snapshot_of
from evolution.errors import ChangedMeanwhile, PolicyError
from evolution.policies.bucket import BUILT_IN, PolicyBucket
from evolution.policies.changes import active_name
from gateway.learning.promotion import PREFIX, state_after
from gateway.learning.pupil import Pupil
from gateway.release import release
from schemas.base import now
from schemas.policy import PolicySnapshot, dumps
from tensor_layer.ports import Blobs

logger = logging.getLogger(__name__)

PROMOTION_TRIES = 5


class Publisher:
    """Publishes versions of any tenant. Raises PolicyBucketUnavailable, BlobStoreUnavailable; then nothing changed."""

    def __init__(self, bucket: PolicyBucket, blobs: Blobs, review_beyond: float) -> None:
        self._bucket = bucket
        self._blobs = blobs
        self._review_beyond = review_beyond
        self._code = f"aos-gateway {release()}"

    async def publish(self, tenant: str, pupil: Pupil) -> PolicySnapshot:
        """A new version of what the pupil knows, in force when nothing speaks against it."""
        parent = active_name((await self._bucket.state(tenant)).state)
        await asyncio.to_thread(pupil.learner.fit)
        parts = await asyncio.to_thread(artefacts_of, pupil.learner.policy)
        refs = {name: await self._blobs.put_bytes(content) for name, content in parts.items()}
        lineage = await asyncio.to_thread(pupil.lineage, self._code)
        title = Title(_new_name(), None if parent == BUILT_IN else parent, pupil.encoder, lineage)
        digests = {name: ref.digest for name, ref in refs.items()}
        snapshot = await asyncio.to_thread(snapshot_of, pupil.learner.policy, title, digests)
        await self._bucket.put(tenant, await asyncio.to_thread(dumps, snapshot))
        for name, ref in refs.items():  # pruning may have removed a part that only old versions named until now
            if not await self._blobs.exists(ref):
                await self._blobs.put_bytes(parts[name])
        pupil.new = 0
        await self._promote(tenant, snapshot)
        return snapshot

    async def _promote(self, tenant: str, snapshot: PolicySnapshot) -> None:
        """Compare and set: of two who change the state at once, the later looks again."""
        for _ in range(PROMOTION_TRIES):
            held = await self._bucket.state(tenant)
            try:
                state = state_after(held.state, snapshot, self._review_beyond)
                if state is not held.state:
                    await self._bucket.write(held, state)
            except ChangedMeanwhile:
                continue
            except PolicyError as error:
                logger.info("policy %s of tenant %s is not promoted: %s", snapshot.policy, tenant, error)
            return


def _new_name() -> str:
    """Sorts by time; two learners at once make two names."""
    return f"{PREFIX}{now():%Y%m%dT%H%M%S}-{secrets.token_hex(2)}"
