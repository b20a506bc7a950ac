"""An answer that cannot be written is an error with words, not a traceback after minutes of work."""

import io
import sys
from pathlib import Path

import pytest

from gateway.cli.terminal import session
from gateway.cli.terminal.failure import Failed

PRINTED = [
    lambda: session.print_json({"recall_at_1": 1.0}),
    lambda: session.print_line("recall_at_1 1.0"),
    lambda: session.print_table(("agent",), [("ocr",)], "none"),
]


@pytest.mark.parametrize("printed", PRINTED)
def test_a_full_disk_is_said(printed, monkeypatch: pytest.MonkeyPatch):
    with Path("/dev/full").open("wb", buffering=0) as full:
        monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(full, write_through=True))
        with pytest.raises(Failed, match="cannot be written: no space left"):
            printed()


@pytest.mark.parametrize("printed", PRINTED)
def test_a_closed_standard_output_is_said(printed, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "stdout", None)
    with pytest.raises(Failed, match="no standard output"):
        printed()
