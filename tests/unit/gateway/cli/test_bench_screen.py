"""What the evaluation commands share on the command line."""

import signal

import pytest

from gateway.cli.bench import screen


def test_ctrl_c_ends_a_command_in_the_middle_of_its_arithmetic():
    reached: list[str] = []

    async def work() -> None:
        signal.raise_signal(signal.SIGINT)
        reached.append("the end, without an await on the way")

    with pytest.raises(KeyboardInterrupt):
        screen.run(work)
    assert reached == []
