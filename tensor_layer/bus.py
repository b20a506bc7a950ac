"""The perception service on the bus: answers EncodeRequest with vectors. Started by the role `perception`.

Declared with FastStream over the process's own connection. Any number of processes share the queue group; all
requests in flight in one process end up in the same batches.
"""

import asyncio
import base64
import logging
from collections.abc import Mapping, Sequence
from types import TracebackType

import numpy as np
from faststream.nats import NatsBroker, NatsMessage
from nats.aio.client import Client
from pydantic import ValidationError

from schemas import subjects
from schemas.json_bodies import VALUES_MAX, has_too_many_values
from schemas.parts import Modality, Part
from schemas.tensor import EncodeReply, EncodeRequest
from tensor_layer.encoding.versions import space_of, space_of_card
from tensor_layer.errors import TensorLayerError
from tensor_layer.ports import DiscerningPartEncoder, EncoderCard, PartEncoder, TextEncoder, Vector

logger = logging.getLogger(__name__)

REQUESTS_IN_FLIGHT = 64
REFUSAL_CHARACTERS_MAX = 2000
"""Of what is wrong with a request: it names every wrong part, and a thousand of them pass what the bus carries."""


class SharedConnectionBroker(NatsBroker):
    """A FastStream broker over a connection that belongs to the process: it neither opens nor closes it."""

    def __init__(self, connection: Client) -> None:
        # No logger: FastStream would write two lines per request. No type casting: the bodies are validated here.
        super().__init__(logger=None, apply_types=False)
        self._shared = connection

    async def _connect(self) -> Client:
        self.config.connect(self._shared)
        return self._shared

    async def stop(
        self,
        exc_type: type[BaseException] | None = None,
        exc_val: BaseException | None = None,
        exc_tb: TracebackType | None = None,
    ) -> None:
        """End the subscribers. The connection stays open."""
        self._connection = None  # what the base class would drain
        await super().stop(exc_type, exc_val, exc_tb)


class PerceptionService:
    """Serves encoders on ``aos.tensor.encode.<modality>``. Every request is answered: vectors, or what is wrong.

    Answers are tasks of their own, so that requests in flight meet in one batch and ``stop`` knows which are left:
    FastStream's ``max_workers`` would cancel them.
    """

    def __init__(
        self,
        connection: Client,
        encoder: TextEncoder,
        senses: Mapping[Modality, PartEncoder] | None = None,
        text_card: EncoderCard | None = None,
    ) -> None:
        """``senses``: the encoders of modalities beside text. Nobody answers for one that is not among them.
        ``text_card``: what replies say of the text encoder beside its version.
        """
        self._encoder = encoder
        self._text_card = text_card
        self._senses = dict(senses or {})
        self._broker = SharedConnectionBroker(connection)
        self._subscribers = [
            self._broker.subscriber(
                subjects.encode(modality), queue=subjects.QUEUE_PERCEPTION, decoder=_undecoded, no_reply=True
            )
            for modality in (Modality.TEXT, *self._senses)
        ]
        for subscriber in self._subscribers:
            subscriber(self._take)
        self._room = asyncio.Semaphore(REQUESTS_IN_FLIGHT)
        self._answers: set[asyncio.Task[None]] = set()

    async def start(self, *, load: bool = True) -> None:
        """Load the text encoder, unless it may wait for the first request; take requests. Raises EncoderUnavailable."""
        if load:
            await self._encoder.encode(["ready"])
        await self._broker.start()

    async def stop(self) -> None:
        """Take no more requests and answer those that are here. Nothing happens when it never started."""
        for subscriber in self._subscribers:
            subscription = subscriber.subscription
            if subscription is None:
                return
            subscriber.subscription = None  # drained here; FastStream would forget what waits
            await subscription.drain()  # type: ignore[no-untyped-call] # nats-py leaves it unannotated
        await asyncio.gather(*self._answers, return_exceptions=True)
        await self._broker.stop()

    async def _take(self, message: NatsMessage) -> None:
        await self._room.acquire()
        answer = asyncio.create_task(self._answer(message.body, message.reply_to))
        self._answers.add(answer)
        answer.add_done_callback(self._answered)

    def _answered(self, answer: asyncio.Task[None]) -> None:
        self._answers.discard(answer)
        self._room.release()
        if not answer.cancelled() and (error := answer.exception()) is not None:
            logger.error("a request for vectors was not answered: %r", error)

    async def _answer(self, body: bytes, reply_to: str) -> None:
        reply = await self._reply(body)
        if reply_to:
            await self._broker.publish(reply.model_dump_json().encode(), reply_to)

    async def _reply(self, body: bytes) -> EncodeReply:
        if has_too_many_values(body):
            return EncodeReply(error=f"invalid_request: it holds more than {VALUES_MAX} values")
        try:
            return await self._encoded(EncodeRequest.model_validate_json(body))
        except ValidationError as error:
            return EncodeReply(error=f"invalid_request: {error}"[:REFUSAL_CHARACTERS_MAX])
        except TensorLayerError as error:
            return EncodeReply(error=f"{error.code}: {error}")
        except Exception:
            logger.exception("a request for vectors met a defect")
            return EncodeReply(error="internal_error: the encoder met a defect; see the log of the perception service")

    async def _encoded(self, request: EncodeRequest) -> EncodeReply:
        if request.modality is Modality.TEXT:
            return await self._encoded_texts(request)
        encoder = self._senses.get(request.modality)
        if encoder is None:
            return EncodeReply(error=f"unsupported_part: there is no encoder for {request.modality} here")
        vectors, familiarity = await _discerned(encoder, request.parts)
        card = encoder.card
        return EncodeReply(
            encoder=card.version,
            space=space_of_card(card),
            dtype=card.dtype,
            device=card.device,
            licence=card.licence,
            count=len(vectors),
            vectors=_base64(vectors),
            familiarity=familiarity,
        )

    async def _encoded_texts(self, request: EncodeRequest) -> EncodeReply:
        texts = [part.text for part in request.parts if part.text is not None]
        if len(texts) < len(request.parts):
            return EncodeReply(error="unsupported_part: only text inside the message has an encoder on this subject")
        vectors = await self._encoder.encode(texts)
        version, card = self._encoder.version, self._text_card
        reply = EncodeReply(encoder=version, space=space_of(version), count=len(vectors), vectors=_base64(vectors))
        if card is None:
            return reply
        return reply.model_copy(update={"dtype": card.dtype, "device": card.device, "licence": card.licence})


async def _discerned(encoder: PartEncoder, parts: Sequence[Part]) -> tuple[Vector, tuple[float | None, ...]]:
    if not parts or not isinstance(encoder, DiscerningPartEncoder):
        return await encoder.encode(parts), ()
    discerned = await encoder.discern(parts)
    return np.stack([each.vector for each in discerned]), tuple(each.familiarity for each in discerned)


async def _undecoded(message: NatsMessage) -> NatsMessage:
    """The whole message: its body is validated here, and where to reply is needed too."""
    return message


def _base64(vectors: Vector) -> str:
    return base64.b64encode(vectors.astype("<f4", copy=False).tobytes()).decode()
