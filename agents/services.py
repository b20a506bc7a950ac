"""The request and reply services of a worker, declared with FastStream: explain and search. Doors call them."""

from faststream.nats import NatsBroker

from agents.answers import Answers
from schemas import subjects
from schemas.explain import ExplainRequest, Explanation, SearchReply, SearchRequest

GOODBYE_S = 2.0
"""How long questions under way hold up a worker that stops; doors ask another one."""


class BusServices:
    """Answers on the bus, in the workers' queue group, over a connection of its own."""

    def __init__(self, nats_url: str, answers: Answers) -> None:
        self._broker = NatsBroker(
            nats_url.split(","), max_reconnect_attempts=-1, logger=None, graceful_timeout=GOODBYE_S
        )
        self._answers = answers

    async def start(self) -> None:
        """Subscribe; questions are answered from now on."""

        @self._broker.subscriber(subjects.EXPLAIN, queue=subjects.QUEUE_WORKERS, max_workers=8)
        async def explain(request: ExplainRequest) -> Explanation:
            return await self._answers.explain(request.task)

        @self._broker.subscriber(subjects.SEARCH, queue=subjects.QUEUE_WORKERS, max_workers=8)
        async def search(request: SearchRequest) -> SearchReply:
            return await self._answers.search(request)

        await self._broker.start()

    async def stop(self) -> None:
        """Unsubscribe and close the connection."""
        await self._broker.stop()
