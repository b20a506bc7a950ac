"""Every message survives its way over the wire, in JSON and in protobuf; anything else is refused, never guessed."""

import base64
import json
import string
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from schemas.control import ControlAction, ControlMessage
from schemas.parts import BlobRef, Modality, Part
from schemas.percept import EncoderVersion
from schemas.proto import aos_pb2
from schemas.subjects import CONTENT_JSON, CONTENT_PROTOBUF
from schemas.task import Priority, RoutingHints, TaskEvent, TaskSubmitted
from schemas.tensor import TensorMessage
from schemas.wire import NotOnTheWire, decode, encode

words = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
tokens = st.text(string.ascii_letters + string.digits + "_-", min_size=1, max_size=64)
moments = st.datetimes(datetime(1970, 1, 2), datetime(2200, 1, 1), timezones=st.just(UTC))
amounts = st.floats(0, 1e12)
digests = st.binary(min_size=32, max_size=32).map(lambda raw: f"sha256:{raw.hex()}")
refs = st.builds(BlobRef, digest=digests, size_bytes=st.integers(0, 2**63), url=st.none() | words)
contents = st.one_of(
    st.fixed_dictionaries({"text": words.filter(str.strip)}),
    st.fixed_dictionaries({"data": st.binary(max_size=64).map(lambda raw: base64.b64encode(raw).decode())}),
    st.fixed_dictionaries({"ref": refs}),
)
parts = st.builds(
    lambda content, **rest: Part(**content, **rest),
    content=contents,
    modality=st.none() | st.sampled_from(Modality),
    media_type=st.none() | words,
    name=st.none() | tokens,
)
tasks = st.builds(
    TaskSubmitted,
    task_id=tokens,
    tenant=tokens,
    priority=st.sampled_from(Priority),
    parts=st.lists(parts, min_size=1, max_size=4).map(tuple),
    routing=st.builds(
        RoutingHints,
        required_capabilities=st.lists(words, max_size=3).map(tuple),
        pin=st.lists(tokens, max_size=3).map(tuple),
        exclude=st.lists(tokens, max_size=3).map(tuple),
    ),
    requires_approval=st.booleans(),
    deadline_s=st.floats(0.001, 7 * 86400),
    max_cost=st.none() | amounts,
    submitted_at=moments,
    labels=st.dictionaries(words, words, max_size=4),
)
encoders = st.builds(EncoderVersion, name=words, version=words, dimension=st.integers(1, 2**32 - 1))
tensors = st.builds(
    TensorMessage,
    tensor_id=tokens,
    dtype=st.sampled_from(["float32", "bfloat16", "bool"]),
    shape=st.lists(st.integers(0, 2**62), max_size=5).map(tuple),
    codec=words,
    frame=st.none() | st.binary(max_size=64),
    encoder=st.none() | encoders,
)
controls = st.builds(
    ControlMessage,
    task_id=tokens,
    tenant=tokens,
    action=st.sampled_from(ControlAction),
    node=st.none() | words,
    reason=words,
    actor=words,
    at=moments,
)


@settings(deadline=None)  # machines under load take longer than any useful deadline
@given(message=st.one_of(tasks, tensors, controls), content_type=st.sampled_from([CONTENT_JSON, CONTENT_PROTOBUF]))
def test_what_is_written_is_read(message, content_type):
    assert decode(type(message), encode(message, content_type), content_type) == message


@given(noise=st.binary(max_size=200), model=st.sampled_from([TaskSubmitted, TensorMessage, ControlMessage]))
def test_noise_is_refused_as_a_value_error_or_read_as_a_valid_message(noise, model):
    try:
        message = decode(model, noise, CONTENT_PROTOBUF)
    except ValueError:
        return
    assert isinstance(message, model)


def test_without_a_content_type_bytes_are_json():
    task = decode(TaskSubmitted, b'{"parts": [{"text": "hello"}]}')
    assert task.instruction() == "hello"
    assert decode(TaskSubmitted, b'{"parts": [{"text": "x"}]}', "Application/JSON; charset=utf-8").parts[0].text == "x"


def test_what_protobuf_leaves_out_gets_the_defaults_of_the_model():
    written = aos_pb2.TaskSubmitted(parts=[aos_pb2.Part(text="hello")]).SerializeToString()
    task = decode(TaskSubmitted, written, CONTENT_PROTOBUF)
    expected = TaskSubmitted(parts=task.parts, task_id=task.task_id, submitted_at=task.submitted_at)
    assert task == expected
    assert task.deadline_s == 300.0


def test_protobuf_is_validated_by_the_same_model():
    empty = aos_pb2.TaskSubmitted(parts=[aos_pb2.Part(text="  ")]).SerializeToString()
    with pytest.raises(ValidationError, match="the task is empty"):
        decode(TaskSubmitted, empty, CONTENT_PROTOBUF)


def test_a_control_message_without_an_action_is_refused():
    silent = aos_pb2.ControlMessage(task_id="t").SerializeToString()
    with pytest.raises(ValidationError, match="action"):
        decode(ControlMessage, silent, CONTENT_PROTOBUF)


def test_an_enum_value_that_nobody_defined_is_refused():
    written = aos_pb2.TaskSubmitted(parts=[aos_pb2.Part(text="x")])
    written.priority = 77
    with pytest.raises(NotOnTheWire, match="77"):
        decode(TaskSubmitted, written.SerializeToString(), CONTENT_PROTOBUF)


def test_a_frame_travels_as_base64_in_json_and_as_itself_in_protobuf():
    tensor = TensorMessage(tensor_id="t", dtype="uint8", shape=(3,), frame=b"\xff\xfe\xfb")
    assert json.loads(encode(tensor))["frame"] == "__77"
    assert b"\xff\xfe\xfb" in encode(tensor, CONTENT_PROTOBUF)
    assert decode(TensorMessage, encode(tensor).replace(b"__77", b"//77")) == tensor.model_copy(
        update={"frame": base64.b64decode("//77")}
    )


@pytest.mark.parametrize("content_type", ["text/html", "application/x-protobuf"])
def test_a_form_that_the_message_does_not_have_is_refused(content_type):
    event = TaskEvent(task_id="t", tenant="default", kind="accepted")
    with pytest.raises(NotOnTheWire, match="TaskEvent"):
        encode(event, content_type)
    with pytest.raises(NotOnTheWire, match="TaskEvent"):
        decode(TaskEvent, b"", content_type)
