"""Processes of two releases read each other: what a newer one adds is left out, what people write is checked."""

import json

import pytest
from pydantic import ValidationError

from schemas.card import AgentCard
from schemas.experience import ExperienceRecord
from schemas.task import TaskRecord, TaskState, TaskSubmitted
from tests.unit.evolution.experience_records import a_record

MORE = {"known_to_the_next_release": [1, {"at": 2}]}


def newer(told: object) -> object:
    """The same JSON with a field more in every object that is a message: those are the ones in lists, and the whole."""
    match told:
        case dict():
            return {name: newer(value) if isinstance(value, list) else value for name, value in told.items()} | MORE
        case list():
            return [newer(value) for value in told]
    return told


def test_what_a_newer_process_adds_is_left_out_at_every_depth():
    record = a_record()
    body = json.dumps(newer(json.loads(record.model_dump_json())))
    assert body.count("known_to_the_next_release") > len(record.steps) + len(record.candidates)
    assert ExperienceRecord.from_peer(body) == record
    assert ExperienceRecord.from_peer(body.encode()) == record


def test_what_a_person_writes_may_hold_no_field_that_is_unknown():
    card = {"id": "a", "version": "1.0.0", "description": "does", "endpoint": {"kind": "nats"}} | MORE
    with pytest.raises(ValidationError, match="known_to_the_next_release"):
        AgentCard.model_validate(card)
    with pytest.raises(ValidationError, match="known_to_the_next_release"):
        TaskSubmitted.model_validate_json(json.dumps({"parts": [{"text": "hello"}]} | MORE))


@pytest.mark.parametrize("change", [{"state": "of the next release"}, {"task_id": None}, {"deliveries": "many"}])
def test_a_value_that_this_release_cannot_read_is_no_field_to_leave_out(change):
    record = TaskRecord(task_id="t1", tenant="default", state=TaskState.RUNNING)
    body = json.loads(record.model_dump_json())
    assert TaskRecord.from_peer(json.dumps(body | MORE)) == record
    with pytest.raises(ValidationError):
        TaskRecord.from_peer(json.dumps(body | change))


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00"])
def test_a_moment_that_utc_cannot_say_is_refused_like_any_other_value(moment):
    with pytest.raises(ValidationError, match="after 9999"):
        TaskSubmitted.model_validate({"parts": [{"text": "hello"}], "submitted_at": moment})
