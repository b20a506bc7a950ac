"""What a message of the work queue says, or in which words its sender reads why it is no task."""

import json
from types import SimpleNamespace

import pytest
from pydantic import ValidationError

from agents.journey.submissions import claimed_id, in_words, task_in
from schemas import subjects
from schemas.parts import text_part
from schemas.task import TaskSubmitted


def message(body: bytes) -> SimpleNamespace:
    return SimpleNamespace(data=body, headers=None)


def refused(body: object) -> str:
    with pytest.raises(ValidationError) as caught:
        task_in(message(json.dumps(body).encode()))
    return in_words(caught.value)


def test_a_task_comes_back_as_it_was_sent():
    task = TaskSubmitted(parts=(text_part("do it"),))
    assert task_in(message(task.model_dump_json().encode())) == task


def test_a_message_is_read_up_to_its_limit_and_not_beyond():
    body = TaskSubmitted(parts=(text_part("do it"),)).model_dump_json().encode()
    limit = subjects.TASK_MESSAGE_BYTES
    assert task_in(message(body.ljust(limit))).instruction() == "do it"
    with pytest.raises(ValueError, match=f"has {limit + 1} bytes .* travels by reference") as caught:
        task_in(message(body.ljust(limit + 1)))
    assert in_words(caught.value) == str(caught.value)


def test_problems_are_said_field_by_field():
    words = refused({"parts": [{"text": 7}], "priority": "soon"}).split("; ")
    assert "parts.0.text: Input should be a valid string" in words
    assert any(problem.startswith("priority: Input should be") for problem in words)
    assert refused([]).startswith("message: ")


def test_a_thousand_problems_fit_into_a_letter():
    assert len(refused({f"unknown{n}": n for n in range(1_000)})) == 2_000
    assert len(in_words(ValueError("x" * 5_000))) == 2_000


@pytest.mark.parametrize(
    ("body", "claimed"),
    [
        (b'{"task_id": "mine", "parts": 7}', "mine"),
        (b'{"task_id": "a.b"}', None),
        (b'{"task_id": 7}', None),
        (b'{"parts": []}', None),
        (b"[1]", None),
        (b"\xff not json", None),
        (b"", None),
    ],
)
def test_a_refusal_is_told_of_the_id_that_a_message_claims_if_it_can_be_a_subject(body, claimed):
    assert claimed_id(body) == claimed
