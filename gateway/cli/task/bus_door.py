"""Publishes a task straight to NATS, as any client of the bus may. Called by ``aos task submit --bus``.

Files travel inside the message here; content that is too large for that goes through the HTTP door.
"""

import asyncio
import base64
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import nats.errors
from nats.js.errors import APIError

from gateway.bus.connection import connect
from gateway.cli.bus.which import compare, without_password
from gateway.cli.terminal.failure import ExitCode, Failed
from gateway.settings import Settings
from schemas import subjects
from schemas.base import id_from_key, new_id
from schemas.parts import INLINE_LIMIT_BYTES
from schemas.task import TaskSubmitted


async def publish(
    settings: Settings, draft: Mapping[str, Any], attachments: Sequence[Path], key: str | None
) -> TaskSubmitted:
    """Publish and wait for the ack, which is the acceptance. Raises Failed."""
    task = await asyncio.to_thread(_compose, settings.tenant, draft, attachments, key)
    try:
        client = await connect(settings.nats_url, "aos-cli", credentials=settings.nats_credentials)
    except (nats.errors.Error, OSError) as error:
        raise _unreachable(settings, error) from error
    try:
        await compare(settings, client.jetstream(timeout=10), changes=True)
        await client.jetstream(timeout=10).publish(
            subjects.submit(task.tenant, task.priority),
            task.model_dump_json(exclude_defaults=True).encode(),
            headers={subjects.HEADER_MESSAGE_ID: task.task_id},
        )
    except APIError as error:
        raise Failed(f"the bus refuses the task: {error.description}", code=f"nats_{error.err_code}") from error
    except (nats.errors.Error, OSError) as error:
        raise _unreachable(settings, error) from error
    finally:
        await client.close()
    return task


def _compose(tenant: str, draft: Mapping[str, Any], attachments: Sequence[Path], key: str | None) -> TaskSubmitted:
    fields = dict(draft)
    text = fields.pop("text", None)
    parts = [{"text": text, "media_type": "text/plain", "modality": "text"}] if text else []
    size = sum(path.stat().st_size for path in attachments)
    if size * 4 // 3 > INLINE_LIMIT_BYTES:
        raise Failed(
            f"the attachments are {size} bytes: too large to travel inside a message",
            exit_code=ExitCode.USAGE,
            code="attachment_too_large",
            next_step="leave --bus out: the HTTP door stores large files and sends a reference",
        )
    parts += [{"name": path.name, "data": base64.b64encode(path.read_bytes()).decode()} for path in attachments]
    if not parts:
        raise Failed("the task is empty: give it some words or --attach a file", exit_code=ExitCode.USAGE)
    task_id = id_from_key(tenant, key) if key else new_id()
    return TaskSubmitted.model_validate({**fields, "task_id": task_id, "tenant": tenant, "parts": parts})


def _unreachable(settings: Settings, error: Exception) -> Failed:
    return Failed(
        f"the bus at {without_password(settings.nats_url)} does not answer",
        exit_code=ExitCode.UNREACHABLE,
        code="unreachable",
        detail=str(error) or type(error).__name__,
        next_step="start one with `aos up`, or say where it is with AOS_NATS_URL",
    )
