import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Modality(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    MODALITY_UNSPECIFIED: _ClassVar[Modality]
    MODALITY_TEXT: _ClassVar[Modality]
    MODALITY_IMAGE: _ClassVar[Modality]
    MODALITY_AUDIO: _ClassVar[Modality]
    MODALITY_TABLE: _ClassVar[Modality]
    MODALITY_DOCUMENT: _ClassVar[Modality]
    MODALITY_DATA: _ClassVar[Modality]
    MODALITY_FILE: _ClassVar[Modality]

class Priority(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PRIORITY_UNSPECIFIED: _ClassVar[Priority]
    PRIORITY_HIGH: _ClassVar[Priority]
    PRIORITY_NORMAL: _ClassVar[Priority]
    PRIORITY_LOW: _ClassVar[Priority]

class ControlAction(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CONTROL_ACTION_UNSPECIFIED: _ClassVar[ControlAction]
    CONTROL_ACTION_CANCEL: _ClassVar[ControlAction]
    CONTROL_ACTION_APPROVE: _ClassVar[ControlAction]
    CONTROL_ACTION_DENY: _ClassVar[ControlAction]
    CONTROL_ACTION_PAUSE: _ClassVar[ControlAction]
MODALITY_UNSPECIFIED: Modality
MODALITY_TEXT: Modality
MODALITY_IMAGE: Modality
MODALITY_AUDIO: Modality
MODALITY_TABLE: Modality
MODALITY_DOCUMENT: Modality
MODALITY_DATA: Modality
MODALITY_FILE: Modality
PRIORITY_UNSPECIFIED: Priority
PRIORITY_HIGH: Priority
PRIORITY_NORMAL: Priority
PRIORITY_LOW: Priority
CONTROL_ACTION_UNSPECIFIED: ControlAction
CONTROL_ACTION_CANCEL: ControlAction
CONTROL_ACTION_APPROVE: ControlAction
CONTROL_ACTION_DENY: ControlAction
CONTROL_ACTION_PAUSE: ControlAction

class BlobRef(_message.Message):
    __slots__ = ("digest", "size_bytes", "url")
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    URL_FIELD_NUMBER: _ClassVar[int]
    digest: str
    size_bytes: int
    url: str
    def __init__(self, digest: _Optional[str] = ..., size_bytes: _Optional[int] = ..., url: _Optional[str] = ...) -> None: ...

class Part(_message.Message):
    __slots__ = ("modality", "media_type", "name", "text", "data", "ref")
    MODALITY_FIELD_NUMBER: _ClassVar[int]
    MEDIA_TYPE_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    REF_FIELD_NUMBER: _ClassVar[int]
    modality: Modality
    media_type: str
    name: str
    text: str
    data: bytes
    ref: BlobRef
    def __init__(self, modality: _Optional[_Union[Modality, str]] = ..., media_type: _Optional[str] = ..., name: _Optional[str] = ..., text: _Optional[str] = ..., data: _Optional[bytes] = ..., ref: _Optional[_Union[BlobRef, _Mapping]] = ...) -> None: ...

class RoutingHints(_message.Message):
    __slots__ = ("required_capabilities", "pin", "exclude")
    REQUIRED_CAPABILITIES_FIELD_NUMBER: _ClassVar[int]
    PIN_FIELD_NUMBER: _ClassVar[int]
    EXCLUDE_FIELD_NUMBER: _ClassVar[int]
    required_capabilities: _containers.RepeatedScalarFieldContainer[str]
    pin: _containers.RepeatedScalarFieldContainer[str]
    exclude: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, required_capabilities: _Optional[_Iterable[str]] = ..., pin: _Optional[_Iterable[str]] = ..., exclude: _Optional[_Iterable[str]] = ...) -> None: ...

class TaskSubmitted(_message.Message):
    __slots__ = ("task_id", "tenant", "priority", "parts", "routing", "requires_approval", "deadline_s", "max_cost", "submitted_at", "labels")
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    TASK_ID_FIELD_NUMBER: _ClassVar[int]
    TENANT_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    PARTS_FIELD_NUMBER: _ClassVar[int]
    ROUTING_FIELD_NUMBER: _ClassVar[int]
    REQUIRES_APPROVAL_FIELD_NUMBER: _ClassVar[int]
    DEADLINE_S_FIELD_NUMBER: _ClassVar[int]
    MAX_COST_FIELD_NUMBER: _ClassVar[int]
    SUBMITTED_AT_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    task_id: str
    tenant: str
    priority: Priority
    parts: _containers.RepeatedCompositeFieldContainer[Part]
    routing: RoutingHints
    requires_approval: bool
    deadline_s: float
    max_cost: float
    submitted_at: _timestamp_pb2.Timestamp
    labels: _containers.ScalarMap[str, str]
    def __init__(self, task_id: _Optional[str] = ..., tenant: _Optional[str] = ..., priority: _Optional[_Union[Priority, str]] = ..., parts: _Optional[_Iterable[_Union[Part, _Mapping]]] = ..., routing: _Optional[_Union[RoutingHints, _Mapping]] = ..., requires_approval: _Optional[bool] = ..., deadline_s: _Optional[float] = ..., max_cost: _Optional[float] = ..., submitted_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., labels: _Optional[_Mapping[str, str]] = ...) -> None: ...

class EncoderVersion(_message.Message):
    __slots__ = ("name", "version", "dimension")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    DIMENSION_FIELD_NUMBER: _ClassVar[int]
    name: str
    version: str
    dimension: int
    def __init__(self, name: _Optional[str] = ..., version: _Optional[str] = ..., dimension: _Optional[int] = ...) -> None: ...

class TensorMessage(_message.Message):
    __slots__ = ("tensor_id", "dtype", "shape", "codec", "frame", "encoder")
    TENSOR_ID_FIELD_NUMBER: _ClassVar[int]
    DTYPE_FIELD_NUMBER: _ClassVar[int]
    SHAPE_FIELD_NUMBER: _ClassVar[int]
    CODEC_FIELD_NUMBER: _ClassVar[int]
    FRAME_FIELD_NUMBER: _ClassVar[int]
    ENCODER_FIELD_NUMBER: _ClassVar[int]
    tensor_id: str
    dtype: str
    shape: _containers.RepeatedScalarFieldContainer[int]
    codec: str
    frame: bytes
    encoder: EncoderVersion
    def __init__(self, tensor_id: _Optional[str] = ..., dtype: _Optional[str] = ..., shape: _Optional[_Iterable[int]] = ..., codec: _Optional[str] = ..., frame: _Optional[bytes] = ..., encoder: _Optional[_Union[EncoderVersion, _Mapping]] = ...) -> None: ...

class ControlMessage(_message.Message):
    __slots__ = ("task_id", "tenant", "action", "node", "reason", "actor", "at")
    TASK_ID_FIELD_NUMBER: _ClassVar[int]
    TENANT_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    NODE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    task_id: str
    tenant: str
    action: ControlAction
    node: str
    reason: str
    actor: str
    at: _timestamp_pb2.Timestamp
    def __init__(self, task_id: _Optional[str] = ..., tenant: _Optional[str] = ..., action: _Optional[_Union[ControlAction, str]] = ..., node: _Optional[str] = ..., reason: _Optional[str] = ..., actor: _Optional[str] = ..., at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...
