"""Gives up on work that cannot be done: into the dead-letter stream, with its reason. Called by `dispatch`."""

import base64

import nats.errors
import nats.js.errors
from nats.aio.msg import Msg
from nats.js import JetStreamContext

from agents.errors import BusUnavailable
from schemas import subjects
from schemas.task import DeadTask


class DeadLetters:
    """Keeps what was given up, with everything needed to try again (`aos dead redrive`)."""

    def __init__(self, js: JetStreamContext) -> None:
        self._js = js

    async def bury(self, message: Msg, task_id: str, tenant: str, code: str, reason: str) -> None:
        """Store the message and why it was given up. Raises BusUnavailable; then the message stays in the queue."""
        metadata = message.metadata
        dead = DeadTask(
            task_id=task_id,
            tenant=tenant,
            code=code,
            reason=reason[:4000],
            attempts=metadata.num_delivered or 0,
            subject=message.subject,
            payload=base64.b64encode(message.data).decode(),
            content_type=content_type_of(message),
        )
        headers = {subjects.HEADER_MESSAGE_ID: f"dead-{metadata.sequence.stream}"}
        try:
            await self._js.publish(subjects.dead(tenant), dead.model_dump_json().encode(), headers=headers)
        except (nats.errors.Error, nats.js.errors.Error, OSError) as error:
            raise BusUnavailable(f"the dead letter of task {task_id} cannot be stored: {error!r}") from error


def content_type_of(message: Msg) -> str:
    """How the message's body is written; JSON when it does not say."""
    return (message.headers or {}).get(subjects.HEADER_CONTENT_TYPE) or subjects.CONTENT_JSON
