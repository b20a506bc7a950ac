"""A task's events as people read them."""

import io

import pytest

from gateway.cli.task.progress import Progress, lines_of


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


STARTED = {"kind": "step_started", "data": {"node": "n1", "agent_id": "ocr"}}
FINISHED = {"kind": "step_finished", "data": {"node": "n1", "agent_id": "ocr", "latency_ms": 41.6, "ok": True}}


def told(*events: dict, out: io.StringIO) -> str:
    with Progress(silent=False, out=out) as progress:
        for event in events:
            progress.show(event)
    return out.getvalue()


def test_on_a_terminal_a_finished_step_ticks_off_its_own_line():
    assert told(STARTED, FINISHED, out=Terminal()) == "… n1 (ocr)\r\033[K✓ n1 (ocr)  42 ms\n"


def test_elsewhere_every_event_has_a_line():
    assert told(STARTED, FINISHED, out=io.StringIO()) == "… n1 (ocr)\n✓ n1 (ocr)  42 ms\n"


def test_silence_is_silence():
    out = io.StringIO()
    with Progress(silent=True, out=out) as progress:
        progress.show(STARTED)
    assert out.getvalue() == ""


@pytest.mark.parametrize(
    ("event", "line"),
    [
        ({"kind": "accepted", "data": {"title": "x"}}, "✓ accepted"),
        ({"kind": "failed", "data": {"message": "no agent fits"}}, "✗ failed: no agent fits"),
        ({"kind": "step_retried", "data": {"node": "n1", "error": "late"}}, "… n1 again: late"),
        ({"kind": "something_new"}, "✓ something new"),
    ],
)
def test_each_kind_has_its_words(event: dict, line: str):
    assert list(lines_of(event)) == [line]
