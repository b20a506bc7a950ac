"""What the commands about policies and experiments share: their options, and how a changed state is said."""

from typing import Annotated, Any

import typer

from evolution.policies.bucket import BUILT_IN
from gateway.cli.terminal import session
from schemas.policy_state import PolicyState

Name = Annotated[str, typer.Argument(help=f"Policy, as `aos policy list` shows it; {BUILT_IN} is the built-in one.")]
Reason = Annotated[str, typer.Option("--reason", help="Why; kept with the change.")]
Reviewed = Annotated[
    bool, typer.Option("--reviewed", help="You looked at what the guards found and want it all the same.")
]


def say(value: dict[str, Any], words: str, as_json: bool) -> None:
    """The value for scripts, or the words for people."""
    if as_json:
        session.print_json(value)
    else:
        session.print_line(words)


def say_state(state: PolicyState, words: str, as_json: bool) -> None:
    """What applies now."""
    say(state.model_dump(mode="json"), words, as_json)
