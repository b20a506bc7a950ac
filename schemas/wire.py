"""Messages as bytes and back, by content type: JSON for every model, protobuf for the three in ``aos.proto``.

Called by doors and workers where a message enters or leaves the process. JSON is the default, so that any NATS client
can take part; ``Content-Type: application/x-protobuf`` chooses the other. Both forms are validated by the same models.
"""

import base64
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, TypeVar

from google.protobuf.message import DecodeError
from google.protobuf.message import Message as ProtobufMessage
from google.protobuf.timestamp_pb2 import Timestamp
from pydantic import BaseModel

from schemas.control import ControlAction, ControlMessage
from schemas.parts import BlobRef, Modality, Part
from schemas.percept import EncoderVersion
from schemas.proto import aos_pb2
from schemas.subjects import CONTENT_JSON, CONTENT_PROTOBUF
from schemas.task import Priority, RoutingHints, TaskSubmitted
from schemas.tensor import TensorMessage

Model = TypeVar("Model", bound=BaseModel)
Fields = dict[str, Any]


class NotOnTheWire(ValueError):
    """Bytes or a content type that cannot be this message. pydantic's ValidationError is a ValueError, too."""


def encode(message: BaseModel, content_type: str = CONTENT_JSON) -> bytes:
    """The message's bytes. Raises NotOnTheWire for a content type that the message does not have."""
    if _kind(content_type) == CONTENT_JSON:
        return message.model_dump_json().encode()
    write = _WRITERS.get(type(message)) if _kind(content_type) == CONTENT_PROTOBUF else None
    if write is None:
        raise NotOnTheWire(f"{type(message).__name__} cannot be written as {content_type!r}; use {CONTENT_JSON}")
    return write(message).SerializeToString(deterministic=True)


def decode(model: type[Model], payload: bytes, content_type: str | None = None) -> Model:
    """The message in these bytes; without a content type, JSON. Raises NotOnTheWire, ValidationError: ValueErrors."""
    if _kind(content_type) == CONTENT_JSON:
        return model.model_validate_json(payload)
    if _kind(content_type) != CONTENT_PROTOBUF or model not in _READERS:
        raise NotOnTheWire(f"{model.__name__} cannot be read from {content_type!r}; use {CONTENT_JSON}")
    blank, read = _READERS[model]
    written = blank()
    try:
        written.ParseFromString(payload)
        fields = read(written)
    except (DecodeError, UnicodeDecodeError, ValueError, OverflowError) as error:
        raise NotOnTheWire(f"not a protobuf {model.__name__}: {error}") from error
    return model.model_validate(fields)


def protobuf_models() -> tuple[type[BaseModel], ...]:
    """The models that have a protobuf form."""
    return tuple(_WRITERS)


def _kind(content_type: str | None) -> str:
    """Without parameters; absent or empty means JSON."""
    return (content_type or CONTENT_JSON).partition(";")[0].strip().lower() or CONTENT_JSON


def _write_task(task: TaskSubmitted) -> aos_pb2.TaskSubmitted:
    return aos_pb2.TaskSubmitted(
        task_id=task.task_id,
        tenant=task.tenant,
        priority=f"PRIORITY_{task.priority.name}",
        parts=[_write_part(part) for part in task.parts],
        routing=aos_pb2.RoutingHints(
            required_capabilities=task.routing.required_capabilities,
            pin=task.routing.pin,
            exclude=task.routing.exclude,
        ),
        requires_approval=task.requires_approval,
        deadline_s=task.deadline_s,
        max_cost=task.max_cost,
        submitted_at=_write_moment(task.submitted_at),
        labels=task.labels,
    )


def _read_task(written: aos_pb2.TaskSubmitted) -> Fields:
    return {
        **_present(written, ("task_id", "tenant", "deadline_s", "max_cost")),
        **_named("priority", aos_pb2.Priority.Name(written.priority), "PRIORITY_", Priority),
        **_moment(written, "submitted_at"),
        "parts": [_read_part(part) for part in written.parts],
        "routing": RoutingHints(
            required_capabilities=tuple(written.routing.required_capabilities),
            pin=tuple(written.routing.pin),
            exclude=tuple(written.routing.exclude),
        ),
        "requires_approval": written.requires_approval,
        "labels": dict(written.labels),
    }


def _write_part(part: Part) -> aos_pb2.Part:
    return aos_pb2.Part(
        modality=f"MODALITY_{part.modality.name}" if part.modality else None,
        media_type=part.media_type,
        name=part.name,
        text=part.text,
        data=base64.b64decode(part.data) if part.data is not None else None,
        ref=_write_ref(part.ref),
    )


def _read_part(written: aos_pb2.Part) -> Fields:
    fields = _present(written, ("media_type", "name", "text"))
    fields |= _named("modality", aos_pb2.Modality.Name(written.modality), "MODALITY_", Modality)
    if written.HasField("data"):
        fields["data"] = base64.b64encode(written.data).decode()
    return fields | _ref(written)


def _write_ref(ref: BlobRef | None) -> aos_pb2.BlobRef | None:
    return aos_pb2.BlobRef(digest=ref.digest, size_bytes=ref.size_bytes, url=ref.url) if ref else None


def _ref(written: aos_pb2.Part) -> Fields:
    if not written.HasField("ref"):
        return {}
    ref = written.ref
    return {"ref": {"digest": ref.digest, "size_bytes": ref.size_bytes, **_present(ref, ("url",))}}


def _write_tensor(tensor: TensorMessage) -> aos_pb2.TensorMessage:
    encoder = tensor.encoder
    return aos_pb2.TensorMessage(
        tensor_id=tensor.tensor_id,
        dtype=tensor.dtype,
        shape=tensor.shape,
        codec=tensor.codec,
        frame=tensor.frame,
        encoder=aos_pb2.EncoderVersion(**encoder.model_dump()) if encoder else None,
    )


def _read_tensor(written: aos_pb2.TensorMessage) -> Fields:
    fields: Fields = {"tensor_id": written.tensor_id, "dtype": written.dtype, "shape": tuple(written.shape)}
    fields |= _present(written, ("codec", "frame"))
    if written.HasField("encoder"):
        version = written.encoder
        fields["encoder"] = {name: getattr(version, name) for name in EncoderVersion.model_fields}
    return fields


def _write_control(control: ControlMessage) -> aos_pb2.ControlMessage:
    return aos_pb2.ControlMessage(
        task_id=control.task_id,
        tenant=control.tenant,
        action=f"CONTROL_ACTION_{control.action.name}",
        node=control.node,
        reason=control.reason,
        actor=control.actor,
        at=_write_moment(control.at),
    )


def _read_control(written: aos_pb2.ControlMessage) -> Fields:
    return {
        **_present(written, ("tenant", "node")),
        **_named("action", aos_pb2.ControlAction.Name(written.action), "CONTROL_ACTION_", ControlAction),
        **_moment(written, "at"),
        "task_id": written.task_id,
        "reason": written.reason,
        "actor": written.actor,
    }


def _present(written: ProtobufMessage, names: Iterable[str]) -> Fields:
    """What was really sent; the rest is left to the model's defaults."""
    return {name: getattr(written, name) for name in names if written.HasField(name)}


def _named(field: str, name: str, prefix: str, enum: type[StrEnum]) -> Fields:
    """An enum value by its protobuf name; unspecified leaves the field out."""
    name = name.removeprefix(prefix)
    return {} if name == "UNSPECIFIED" else {field: enum[name]}


def _write_moment(moment: datetime) -> Timestamp:
    timestamp = Timestamp()
    timestamp.FromDatetime(moment)
    return timestamp


def _moment(written: aos_pb2.TaskSubmitted | aos_pb2.ControlMessage, name: str) -> Fields:
    return {name: getattr(written, name).ToDatetime(tzinfo=UTC)} if written.HasField(name) else {}


_WRITERS: dict[type[BaseModel], Callable[[Any], ProtobufMessage]] = {
    TaskSubmitted: _write_task,
    TensorMessage: _write_tensor,
    ControlMessage: _write_control,
}
_READERS: dict[type[BaseModel], tuple[Callable[[], Any], Callable[[Any], Fields]]] = {
    TaskSubmitted: (aos_pb2.TaskSubmitted, _read_task),
    TensorMessage: (aos_pb2.TensorMessage, _read_tensor),
    ControlMessage: (aos_pb2.ControlMessage, _read_control),
}
