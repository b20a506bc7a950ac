"""The use cases behind the routes, made once from one bus connection. Called by the composition root."""

from dataclasses import dataclass
from typing import cast

from nats.aio.client import Client
from nats.js import JetStreamContext
from starlette.requests import Request

from agents.ports.registry import Registry
from gateway.admission import Admission
from gateway.agent_desk import AgentDesk
from gateway.bus.publishing import Publisher
from gateway.bus.stream_reader import StreamReader
from gateway.claim_check import ClaimCheck
from gateway.content_check import ContentCheck
from gateway.dead_letters import DeadLetters
from gateway.door_limits import DoorLimits
from gateway.embedding_desk import EmbeddingDesk
from gateway.http.metrics import DoorMetrics
from gateway.readiness import Readiness
from gateway.task_control import TaskControl
from gateway.task_feedback import TaskFeedback
from gateway.task_following import Following
from gateway.task_ledger import TaskLedger
from gateway.worker_desk import WorkerDesk
from schemas import subjects
from tensor_layer.ports import Blobs


@dataclass(frozen=True, slots=True)
class Doors:
    """Everything that `create_app` needs."""

    limits: DoorLimits
    claim_check: ClaimCheck
    admission: Admission
    ledger: TaskLedger
    following: Following
    control: TaskControl
    feedback: TaskFeedback
    agents: AgentDesk
    workers: WorkerDesk
    dead: DeadLetters
    blobs: Blobs
    embeddings: EmbeddingDesk
    readiness: Readiness
    metrics: DoorMetrics


async def open_doors(
    nc: Client, js: JetStreamContext, blobs: Blobs, registry: Registry, limits: DoorLimits | None = None
) -> Doors:
    """Wire the use cases over streams and buckets that exist. Raises what nats-py raises when they do not."""
    limits = limits or DoorLimits()
    metrics = DoorMetrics()
    ledger = await TaskLedger.open(nc, js)
    claim_check = ClaimCheck(
        blobs,
        inline_bytes=limits.inline_bytes,
        attachment_bytes=limits.attachment_bytes,
        uploads=limits.uploads,
    )
    publisher = Publisher(
        nc,
        js,
        timeout_s=limits.publish_timeout_s,
        in_flight=limits.publishes_in_flight,
        waiting=limits.publishes_waiting,
        observe_s=metrics.published,
    )
    doors = Doors(
        limits=limits,
        claim_check=claim_check,
        admission=Admission(
            nc, publisher, ledger, claim_check, ContentCheck(blobs, limit_bytes=limits.inspected_bytes)
        ),
        ledger=ledger,
        following=Following(nc, ledger, StreamReader(nc, subjects.STREAM_EVENTS), limit=limits.followers),
        control=TaskControl(nc, publisher, ledger),
        feedback=TaskFeedback(publisher, ledger),
        agents=AgentDesk(
            registry,
            StreamReader(nc, f"KV_{subjects.BUCKET_AGENTS}"),
            StreamReader(nc, f"KV_{subjects.BUCKET_HEALTH}"),
        ),
        workers=WorkerDesk(nc, claim_check, timeout_s=limits.service_timeout_s),
        dead=DeadLetters(js, publisher, ledger, StreamReader(nc, subjects.STREAM_DEAD)),
        blobs=blobs,
        embeddings=EmbeddingDesk(nc, blobs, timeout_s=limits.service_timeout_s),
        readiness=Readiness(nc, js),
        metrics=metrics,
    )
    await metrics.listen(nc)
    return doors


def doors_of(request: Request) -> Doors:
    """The use cases of the app that got the request."""
    return cast(Doors, request.app.state.doors)
