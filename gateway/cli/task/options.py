"""Options that ``aos task submit`` and ``aos explain`` have in common: who may do a task, and for how much."""

from typing import Annotated, Any

import typer

Pin = Annotated[list[str] | None, typer.Option("--pin", help="Agent that must do it; repeat, in order.")]
Exclude = Annotated[list[str] | None, typer.Option("--exclude", help="Agent that must not be chosen; repeat.")]
Require = Annotated[list[str] | None, typer.Option("--require", help="Tag that every chosen agent carries; repeat.")]
MaxCost = Annotated[float | None, typer.Option("--max-cost", help="Budget in the fleet's cost unit.", min=0)]


def routing(pin: list[str] | None, exclude: list[str] | None, require: list[str] | None) -> dict[str, Any]:
    """The draft's hints on who should do the task."""
    return given({"pin": pin, "exclude": exclude, "required_capabilities": require})


def given(options: dict[str, Any]) -> dict[str, Any]:
    """Those that were given: a budget of 0 was, a switch that is off was not."""
    return {name: value for name, value in options.items() if value or (value == 0 and value is not False)}
