"""Tasks as `aos replay` shows them to people: why one failed, and one that still goes on."""

from datetime import timedelta

from gateway.cli.replay.views import print_story, print_tasks
from gateway.replay.story import Story
from schemas.base import now
from schemas.task import StageTimes, TaskEvent, TaskEventKind
from tests.unit.evolution.experience_records import a_failure, a_record


def an_event(kind, ms=0, **data):
    return TaskEvent(task_id="t1", tenant="default", kind=kind, at=now() + timedelta(milliseconds=ms), data=data)


def test_the_list_says_why_tasks_failed_and_that_times_are_utc(capsys):
    print_tasks([a_failure("t1", failure_code="no_agent_fits"), a_record("t2")], "none")
    out = capsys.readouterr().out
    assert "no_agent_fits" in out
    assert "(UTC)" in out
    print_tasks([a_record("t2")], "none")
    assert " why " not in capsys.readouterr().out


def test_a_failure_says_why_in_words_and_no_probability_where_nobody_was_chosen(capsys):
    nobody = {"chosen": (), "candidates": (), "steps": (), "network": None}
    record = a_failure("t1", failure_code="no_agent_fits").model_copy(update=nobody)
    failed = an_event(TaskEventKind.FAILED, failure={"message": "No agent fits 'dig a hole'."})
    print_story(Story("t1", record, (failed,)))
    out = capsys.readouterr().out
    assert "why      No agent fits 'dig a hole'." in out
    assert "chosen with probability" not in out


def test_a_cancelled_task_is_said_to_be_so_once(capsys):
    print_story(Story("t1", a_failure("t1", state="cancelled", failure_code="cancelled"), ()))
    assert capsys.readouterr().out.startswith("task t1: cancelled\n")


def test_what_a_task_waited_for_is_told_from_what_it_took(capsys):
    record = a_record("t1", latency_ms=22131.0, times=StageTimes(queued_ms=21638.0, run_ms=492.0))
    print_story(Story("t1", record, ()))
    assert "22131 ms (21638 of them before it was run)" in capsys.readouterr().out


def test_a_task_without_a_record_is_told_by_its_events(capsys):
    events = (an_event(TaskEventKind.ACCEPTED, title="Pay 12"), an_event(TaskEventKind.AWAITING_APPROVAL, 9))
    print_story(Story("t1", None, events, missing=("no experience yet: the task goes on",)))
    out = capsys.readouterr().out
    assert "task t1: awaiting approval" in out
    assert "asked    Pay 12" in out
    assert "accepted" in out
    assert out.rstrip().endswith("(no experience yet: the task goes on)")
