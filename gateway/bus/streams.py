"""The streams and buckets of the bus, as they should be; `ensuring` makes them so.

Every stream has a size quota: a full quota answers a clean error at once (code 10077/10023 -> 503) and recovers by
itself, while a full disk wedges the stream until the server restarts.
"""

from dataclasses import dataclass, replace

from nats.js.api import (
    DiscardPolicy,
    KeyValueConfig,
    PersistMode,
    RetentionPolicy,
    StorageType,
    StreamConfig,
    SubjectTransform,
)

from schemas import checkpoint_subjects, subjects
from schemas.task import Priority

MIB = 1024 * 1024
DAY_S = 86_400.0
HEALTH_KEPT_S = 60.0
"""Whoever has shown no life for so long is no longer told of."""
HEARTBEAT_BYTES = 16 * 1024

QUEUED_MESSAGE_BYTES = 2 * MIB
"""Largest message that the work queue takes: larger than any task, so that a worker can say why it is none. A dead
letter carries it whole in base64 and must fit what the bus takes, so what is larger still is refused at once.
"""


@dataclass(frozen=True, slots=True)
class Quotas:
    """How much each stream may hold, in bytes, how many replicas it has, and how long dead letters are kept."""

    tasks_bytes: int = 1024 * MIB
    events_bytes: int = 1024 * MIB
    control_bytes: int = 64 * MIB
    experience_bytes: int = 1024 * MIB
    dead_bytes: int = 256 * MIB
    checkpoints_bytes: int = 1024 * MIB
    buckets_bytes: int = 1024 * MIB
    replicas: int = 1
    dead_days: float = 90.0

    def scaled(self, factor: float) -> "Quotas":
        """The same proportions on a smaller or larger disk."""
        sized = {name: int(getattr(self, name) * factor) for name in self.__slots__ if name.endswith("_bytes")}
        return replace(self, **sized)


def stream_configs(
    quotas: Quotas, max_payload_bytes: int = MIB, *, clustered: bool = False
) -> tuple[StreamConfig, ...]:
    """Every stream of the map, without most key-value buckets, for a bus that takes messages of that size."""
    # Events tell a story that the task record already holds: they need no fsync each (ADR-56). A cluster's streams may
    # have more copies one day, and what is so lossy can have no others.
    lossy = None if clustered or quotas.replicas > 1 else PersistMode.ASYNC
    streams = (
        StreamConfig(
            name=subjects.STREAM_TASKS,
            # Lane by lane: a message of a priority that no worker pulls would lie here for ever, so nobody takes it.
            subjects=[subjects.submit_lane(priority) for priority in Priority],
            retention=RetentionPolicy.WORK_QUEUE,
            discard=DiscardPolicy.NEW,
            max_bytes=quotas.tasks_bytes,
            max_msg_size=min(QUEUED_MESSAGE_BYTES, max_payload_bytes * 5 // 8),
            duplicate_window=120,
        ),
        StreamConfig(
            name=subjects.STREAM_EVENTS,
            subjects=[subjects.EVENT_ALL],
            discard=DiscardPolicy.OLD,
            max_age=7 * DAY_S,
            max_bytes=quotas.events_bytes,
            persist_mode=lossy,
        ),
        StreamConfig(
            name=subjects.STREAM_CONTROL,
            subjects=[subjects.CONTROL_ALL],
            discard=DiscardPolicy.OLD,
            max_age=DAY_S,
            max_bytes=quotas.control_bytes,
            persist_mode=lossy,
        ),
        StreamConfig(
            name=subjects.STREAM_EXPERIENCE,
            # The recorder takes off what it has acknowledged, many at a time: `evolution.sweeping`.
            subjects=[subjects.EXPERIENCE_ALL, subjects.FEEDBACK_ALL],
            discard=DiscardPolicy.NEW,
            max_bytes=quotas.experience_bytes,
        ),
        StreamConfig(
            name=subjects.STREAM_DEAD,
            subjects=[subjects.DEAD_ALL],
            discard=DiscardPolicy.NEW,
            max_age=quotas.dead_days * DAY_S,
            max_bytes=quotas.dead_bytes,
        ),
        StreamConfig(
            name=subjects.STREAM_CHECKPOINTS,
            subjects=[checkpoint_subjects.ALL],
            discard=DiscardPolicy.NEW,
            # Who ends a task deletes its checkpoints, but a worker that was away may write one more, and a task that
            # waits for a person may be forgotten: a stream that only grows would be full one day, and hold up all.
            max_age=90 * DAY_S,
            max_bytes=quotas.checkpoints_bytes,
            max_msgs_per_subject=1,
            allow_rollup_hdrs=True,
        ),
        StreamConfig(
            name=subjects.STREAM_AUDIT,
            subjects=[subjects.AUDIT],
            discard=DiscardPolicy.OLD,
            max_bytes=quotas.control_bytes,
            deny_delete=True,
            deny_purge=True,
        ),
    )
    return tuple(
        replace(stream, storage=StorageType.FILE, num_replicas=quotas.replicas, allow_direct=True)
        for stream in (*streams, _health(quotas, lossy))
    )


def _health(quotas: Quotas, lossy: PersistMode | None) -> StreamConfig:
    """The bucket of signs of life: a stream like any bucket's, into which the bus itself puts what agents publish.

    So a heartbeat has the time when it came, however busy whoever reads it is, and no worker has to pass it on. Agents
    write here: no roll-up of theirs may take others' signs away, as a bucket's own settings would allow.
    """
    bucket = f"$KV.{subjects.BUCKET_HEALTH}"
    return StreamConfig(
        name=f"KV_{subjects.BUCKET_HEALTH}",
        subjects=[f"{bucket}.>", subjects.HEARTBEAT_ALL],
        subject_transform=SubjectTransform(subjects.HEARTBEAT_ALL, f"{bucket}.{{{{wildcard(1)}}}}.{{{{wildcard(2)}}}}"),
        discard=DiscardPolicy.NEW,
        max_age=HEALTH_KEPT_S,
        duplicate_window=HEALTH_KEPT_S,
        max_bytes=quotas.buckets_bytes // 16,
        max_msgs_per_subject=1,
        max_msg_size=HEARTBEAT_BYTES,
        allow_msg_ttl=True,
        deny_delete=True,
        persist_mode=lossy,
    )


def bucket_configs(quotas: Quotas) -> tuple[KeyValueConfig, ...]:
    """Every key-value bucket of the map but that of signs of life, which the bus fills: see ``stream_configs``."""
    size = quotas.buckets_bytes
    buckets = (
        KeyValueConfig(bucket=subjects.BUCKET_AGENTS, history=64, max_bytes=size // 4, max_value_size=MIB),
        KeyValueConfig(bucket=subjects.BUCKET_TASKS, history=1, max_bytes=size, ttl=7 * DAY_S),
        KeyValueConfig(bucket=subjects.BUCKET_POLICY, history=64, max_bytes=size // 4),
        KeyValueConfig(bucket=subjects.BUCKET_PLANS, history=1, max_bytes=size // 4),
        KeyValueConfig(bucket=subjects.BUCKET_PATTERNS, history=1, max_bytes=size // 16),
        KeyValueConfig(bucket=subjects.BUCKET_AUDITIONS, history=1, max_bytes=size // 16, ttl=90 * DAY_S),
    )
    return tuple(replace(bucket, replicas=quotas.replicas, direct=True) for bucket in buckets)
