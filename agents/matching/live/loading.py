"""Reads one version of a policy with all that belongs to it, and builds it off the event loop. Called by ``feed``."""

import asyncio
import logging
from collections.abc import Mapping

from nats.js import JetStreamContext
from nats.js.errors import NotFoundError

from agents.matching.live.policy import LivePolicy
from agents.matching.live.snapshots import policy_of
from agents.registry.kv_feed import bus_errors, stream_of, subject_of
from schemas import subjects
from schemas.base import is_token
from schemas.card import AgentCard
from schemas.parts import BlobRef
from schemas.policy import PolicySnapshot, PolicyUnreadable, loads
from tensor_layer.errors import TensorLayerError
from tensor_layer.ports import Blobs

logger = logging.getLogger(__name__)

GONE_TOLD = 5


class Loader:
    """Fetches versions. Artefacts of the version before are kept: the next one shares most of them.

    ``encoder`` is the version of the text encoder that tasks are encoded with here.
    """

    def __init__(self, js: JetStreamContext, blobs: Blobs, encoder: str) -> None:
        self._js = js
        self._blobs = blobs
        self._encoder = encoder
        self._kept: dict[str, bytes] = {}

    async def load(self, tenant: str, policy: str, dimension: int, cards: Mapping[str, AgentCard]) -> LivePolicy:
        """The policy, ready. Raises PolicyUnreadable and its kin for one that cannot be used, BusUnavailable."""
        snapshot = await asyncio.to_thread(loads, await self._content(tenant, policy))
        _check_encoder(snapshot, self._encoder)
        _check_agents(snapshot, cards)
        parts = {name: await self._artefact(name, digest) for name, digest in snapshot.artefacts.items()}
        self._kept = {digest: parts[name] for name, digest in snapshot.artefacts.items()}
        return await asyncio.to_thread(policy_of, snapshot, parts, dimension)

    async def _content(self, tenant: str, policy: str) -> bytes:
        if not is_token(policy):
            raise PolicyUnreadable(f"{policy!r} is no name of a policy")
        key = subjects.policy_version_key(tenant, policy)
        with bus_errors("read the policy"):
            try:
                message = await self._js.get_last_msg(
                    stream_of(subjects.BUCKET_POLICY), subject_of(subjects.BUCKET_POLICY, key)
                )
            except NotFoundError as error:
                raise PolicyUnreadable(f"there is no policy {policy} of tenant {tenant}") from error
        return message.data or b""

    async def _artefact(self, name: str, digest: str) -> bytes:
        if digest in self._kept:
            return self._kept[digest]
        try:
            return await self._blobs.get(BlobRef(digest=digest, size_bytes=0))
        except (TensorLayerError, ValueError) as error:
            raise PolicyUnreadable(f"the policy's {name} cannot be read: {error}") from error


def _check_encoder(snapshot: PolicySnapshot, encoder: str) -> None:
    """What lies near past tasks that another encoder placed says nothing. Weights alone are not refused."""
    if snapshot.artefacts and snapshot.encoder != encoder:
        raise PolicyUnreadable(
            f"its past tasks are encoded by {snapshot.encoder}, and tasks here by {encoder}: "
            "a version learned with this encoder comes by itself, or run the encoder that it was learned with"
        )


def _check_agents(snapshot: PolicySnapshot, cards: Mapping[str, AgentCard]) -> None:
    """Agents that are gone are overlooked. When all are, the policy is of another fleet."""
    gone = [agent for agent in snapshot.standings if agent not in cards]
    if not gone:
        return
    named = ", ".join(gone[:GONE_TOLD]) + (" …" if len(gone) > GONE_TOLD else "")
    if len(gone) == len(snapshot.standings):
        raise PolicyUnreadable(f"it was learned from agents that are all gone: {named}")
    logger.warning(
        "policy %s knows %d agents that are gone, they are overlooked: %s", snapshot.policy, len(gone), named
    )
