"""Which tests run in the same process when there are several: those of the shared stack, and else those of a file.

Named by files and not by the mark ``xdist_group``, which pytest-xdist 3.8 silently ignores from pytest 9.2 on
(pytest-xdist issue 1386).
"""

from xdist.scheduler import LoadScopeScheduling

SHARED_STACK = ("tests/acceptance/", "tests/chaos/", "tests/integration/test_bad_input_")
OWN_STACK = ("tests/chaos/test_nothing_lost.py",)


def scope_of(nodeid: str) -> str:
    """Tests of one scope run one after another in one process."""
    file = nodeid.partition("::")[0]
    return "stack" if file.startswith(SHARED_STACK) and file not in OWN_STACK else file


class OneStackScheduling(LoadScopeScheduling):
    """Starting a stack takes ten seconds and much memory: one of the processes has it."""

    def _split_scope(self, nodeid: str) -> str:
        return scope_of(nodeid)
