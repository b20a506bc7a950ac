"""Commands run in the test's own process, as if typed."""

from collections.abc import Sequence

from gateway.cli.main import main


def exit_code_of(arguments: Sequence[str]) -> int:
    """Runs ``aos`` with these arguments. What it said is on the captured outputs."""
    try:
        main(arguments)
    except SystemExit as end:
        return int(end.code or 0)
    return 0
