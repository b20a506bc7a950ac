"""Searches for better networks on request: ``aos.service.refine``. Run by the evolution role, or any spare process."""

import asyncio
import logging

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from pydantic import ValidationError

from agents.evolving.live.refiner import refine
from schemas import subjects
from schemas.refinement import RefineReply, RefineRequest

logger = logging.getLogger(__name__)

WAITING_MAX = 64
"""More requests than this are dropped by the bus client: whoever asked asks again when the kind is met again."""


class RefinementService:
    """One search at a time, in a thread, so that the event loop stays free. Any number of processes share the queue."""

    def __init__(self, nc: Client) -> None:
        self._nc = nc
        self._subscription: Subscription | None = None
        self._one = asyncio.Lock()
        self.served = 0

    async def start(self) -> None:
        """Requests are answered from now on."""
        self._subscription = await self._nc.subscribe(
            subjects.REFINE, queue=subjects.QUEUE_REFINERS, cb=self._answer, pending_msgs_limit=WAITING_MAX
        )

    async def stop(self) -> None:
        """The search in hand is finished."""
        if self._subscription is not None and not self._nc.is_closed:
            await self._subscription.unsubscribe()
        async with self._one:
            self._subscription = None

    async def _answer(self, message: Msg) -> None:
        async with self._one:
            reply = await self._reply(message.data)
            if message.reply:
                await message.respond(reply.model_dump_json().encode())

    async def _reply(self, body: bytes) -> RefineReply:
        try:
            request = RefineRequest.from_peer(body)
        except ValidationError as error:
            logger.warning("a request for a better network does not read as one: %s", error)
            return RefineReply(kind="unread", problem=f"the request does not read as one: {error}"[:2000])
        try:
            reply = await asyncio.to_thread(refine, request)
        except Exception:
            logger.exception("the search for a better network of kind %s met a defect", request.kind)
            return RefineReply(kind=request.kind, problem="the search met a defect; see the refiner's log")
        self.served += 1
        return reply
