"""How far a long command is, on a terminal."""

import io
import re
from contextlib import redirect_stderr

import pytest

from gateway.cli.terminal.bar import bar

CONTROL = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


class Terminal(io.StringIO):
    """Standard error as a person has it."""

    def isatty(self) -> bool:
        return True

    @property
    def shown(self) -> str:
        return CONTROL.sub("", self.getvalue())


@pytest.fixture
def terminal(monkeypatch) -> Terminal:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    return Terminal()


def test_a_bar_says_how_much_is_done_of_how_much(terminal):
    with redirect_stderr(terminal), bar("sealing anew") as progress:
        progress(250_000, 1_000_000)
    assert "sealing anew" in terminal.shown
    assert "250,000 of 1,000,000" in terminal.shown


def test_where_nobody_knows_how_much_there_is_it_does_not_claim_to_be_done(terminal):
    with redirect_stderr(terminal), bar("exporting") as progress:
        progress(40_000, 0)
    assert " 40,000 " in terminal.shown
    assert "of" not in terminal.shown
    assert "%" not in terminal.shown


def test_scripts_see_no_bar(terminal):
    with redirect_stderr(terminal), bar("exporting", silent=True) as progress:
        progress(1, 2)
    with redirect_stderr(io.StringIO()) as file, bar("exporting") as progress:
        progress(1, 2)
    assert terminal.shown == file.getvalue() == ""
