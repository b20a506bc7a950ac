"""Asks workers on the bus which agents are near some words, and who would do a task. Called by the doors."""

from typing import TypeVar

import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from pydantic import ValidationError

from agents.errors import BusUnavailable
from gateway.claim_check import ClaimCheck
from gateway.errors import NoWorker, WorkerRefused
from gateway.task_draft import TaskDraft, submitted
from schemas import subjects
from schemas.base import Message, new_id
from schemas.explain import ExplainRequest, Explanation, SearchReply, SearchRequest
from schemas.problem import Problem

Answer = TypeVar("Answer", bound=Message)


class WorkerDesk:
    """Relays questions. Raises NoWorker when nobody answers, WorkerRefused, and the errors of the object store."""

    def __init__(self, nc: Client, claim_check: ClaimCheck, *, timeout_s: float = 30.0) -> None:
        self._nc = nc
        self._claim_check = claim_check
        self._timeout_s = timeout_s

    async def search(self, request: SearchRequest) -> SearchReply:
        """The agents nearest to some words."""
        return _read(SearchReply, await self._ask(subjects.SEARCH, request))

    async def explain(self, tenant: str, draft: TaskDraft) -> Explanation:
        """Who would be chosen for the task, and why, without doing it."""
        parts = await self._claim_check.check_in(draft.all_parts())
        task = submitted(draft, tenant, new_id(), parts)
        return _read(Explanation, await self._ask(subjects.EXPLAIN, ExplainRequest(task=task)))

    async def _ask(self, subject: str, question: Message) -> Msg:
        headers = {subjects.HEADER_CONTENT_TYPE: subjects.CONTENT_JSON}
        payload = question.model_dump_json().encode()
        try:
            reply = await self._nc.request(subject, payload, timeout=self._timeout_s, headers=headers)
        except nats.errors.NoRespondersError as error:
            raise NoWorker("no agents worker is connected to the bus") from error
        except nats.errors.TimeoutError as error:
            raise NoWorker(f"no worker answered within {self._timeout_s:g} s", code="worker_silent") from error
        except (nats.errors.Error, OSError) as error:
            raise BusUnavailable(f"the workers cannot be asked: {error!r}") from error
        return reply


def _read(model: type[Answer], reply: Msg) -> Answer:
    refused = subjects.HEADER_SERVICE_ERROR_CODE in (reply.headers or {})
    try:
        if refused:
            raise WorkerRefused(Problem.model_validate_json(reply.data))
        return model.from_peer(reply.data)
    except ValidationError as error:
        raise NoWorker("a worker answered something that is no answer", code="worker_failed") from error
