"""A task as its client writes it."""

import pytest
from pydantic import ValidationError

from gateway.admission import digest_of
from gateway.task_draft import TaskDraft


def test_the_short_form_comes_first_among_the_parts():
    draft = TaskDraft.model_validate({"text": "one", "parts": [{"text": "two"}]})
    assert [part.text for part in draft.all_parts()] == ["one", "two"]


def test_a_title_is_the_first_words_on_one_line():
    assert TaskDraft(text="  a\n\tb  " + "c" * 500).title(10) == "a b cccccc"


@pytest.mark.parametrize("body", [{}, {"text": " "}, {"parts": [{"text": ""}]}, {"text": "\n", "parts": []}])
def test_an_empty_task_is_refused(body):
    with pytest.raises(ValidationError, match="empty"):
        TaskDraft.model_validate(body)


def test_a_file_alone_is_a_task():
    assert TaskDraft.model_validate({"parts": [{"data": "eA=="}]}).title() == ""


def test_the_digest_does_not_depend_on_how_the_json_is_written():
    one = TaskDraft.model_validate_json('{"text": "x", "labels": {"a": "1", "b": "2"}}')
    other = TaskDraft.model_validate_json('{"labels":{"b":"2","a":"1"},"priority":"normal","text":"x"}')
    assert digest_of(one) == digest_of(other)
    assert digest_of(one) != digest_of(TaskDraft(text="x"))
