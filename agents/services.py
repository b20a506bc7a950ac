"""The request and reply services of a worker, declared with FastStream: explain and search. Doors call them."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TypeVar

import nats.errors
from faststream.nats import NatsBroker, NatsMessage, NatsResponse

from agents.answers import Answers
from agents.service_problems import problem_of, reply_of, too_many_values
from schemas import subjects
from schemas.base import Message
from schemas.explain import ExplainRequest, Explanation, SearchRequest
from schemas.json_bodies import has_too_many_values

GOODBYE_S = 2.0
"""How long questions under way hold up a worker that stops; doors ask another one."""
PING_EVERY_S, PINGS_UNANSWERED = 3, 2
"""A server that answers none of so many is left for another one; the library's own numbers take some minutes."""

Question = TypeVar("Question", bound=Message)


class BusServices:
    """Answers on the bus, in the workers' queue group, over a connection of its own.

    Every request is answered: as it should be, or with a `Problem` that says what is wrong with it or with the worker.
    """

    def __init__(self, nats_url: str, answers: Answers, credentials: str | None = None) -> None:
        """``credentials``: a NATS credentials file, where the bus wants one."""
        # No type casting: FastStream drops a body that does not fit, and whoever asked waits for nothing.
        self._broker = NatsBroker(
            nats_url.split(","),
            max_reconnect_attempts=-1,
            ping_interval=PING_EVERY_S,
            max_outstanding_pings=PINGS_UNANSWERED,
            user_credentials=credentials,
            logger=None,
            graceful_timeout=GOODBYE_S,
            apply_types=False,
        )
        self._answers = answers

    async def start(self) -> None:
        """Subscribe; questions are answered from now on."""
        self._serve(subjects.EXPLAIN, ExplainRequest, self._explain)
        self._serve(subjects.SEARCH, SearchRequest, self._answers.search)
        await self._broker.start()
        with suppress(nats.errors.Error):  # a server that is away hears of the subscriptions when it is back
            for _ in range(2):  # nats-py's ping overtakes what waits to be sent; the second one comes after it
                await self._broker.connection.flush()

    async def stop(self) -> None:
        """Unsubscribe and close the connection."""
        await self._broker.stop()

    async def _explain(self, request: ExplainRequest) -> Explanation:
        return await self._answers.explain(request.task)

    def _serve(self, subject: str, model: type[Question], answer: Callable[[Question], Awaitable[Message]]) -> None:
        async def reply(message: NatsMessage) -> NatsResponse:
            if has_too_many_values(message.body):
                return reply_of(too_many_values(model))
            try:
                said = await answer(model.model_validate_json(message.body))
            except Exception as error:  # noqa: BLE001 - told to whoever asked, and logged where it is a defect
                return reply_of(problem_of(error, model))
            return NatsResponse(said.model_dump_json().encode(), headers={"content-type": subjects.CONTENT_JSON})

        self._broker.subscriber(subject, queue=subjects.QUEUE_WORKERS, max_workers=8, decoder=_undecoded)(reply)


async def _undecoded(message: NatsMessage) -> NatsMessage:
    """The whole message: its body is validated here."""
    return message
