"""``aos explain``: who would be chosen for a task, and why, without doing it."""

from pathlib import Path
from typing import Annotated, Any

import typer

from gateway.cli.door import views
from gateway.cli.door.client import client
from gateway.cli.task import options
from gateway.cli.task.plan import plan_lines
from gateway.cli.terminal import session
from gateway.cli.terminal.failure import ExitCode
from gateway.cli.terminal.session import Json, Tenant, Url

WHY = 3
"""Of so many candidates the text says what the learned policy saw; --json says it of all."""

app = typer.Typer(help="Who would be chosen for a task, and why, without doing it.")


@app.command()
def explain(
    text: Annotated[str, typer.Argument(help="The task, in words.")] = "",
    attach: Annotated[
        list[Path] | None, typer.Option("--attach", "-a", help="File of the task; repeat.", exists=True, dir_okay=False)
    ] = None,
    pin: options.Pin = None,
    exclude: options.Exclude = None,
    require: options.Require = None,
    max_cost: options.MaxCost = None,
    as_json: Json = False,
    tenant: Tenant = None,
    url: Url = None,
) -> None:
    """Show what would be perceived, who would be chosen with scores and reasons, and the network."""

    async def work() -> Any:  # noqa: ANN401 - the door's JSON
        hints = options.routing(pin, exclude, require)
        draft = options.given({"text": text, "routing": hints, "max_cost": max_cost})
        async with client(tenant, url) as gateway:
            return await gateway.send_draft("/v1/explain", draft, attach or ())

    explanation = session.run(work())
    if as_json:
        session.print_json(explanation)
    else:
        _show(explanation)
    raise typer.Exit(int(ExitCode.FAILED if explanation.get("failure") else ExitCode.DONE))


def _show(explanation: dict[str, Any]) -> None:
    for line in views.percept_lines(explanation.get("percept") or {}):
        session.print_line(line)
    for match in explanation.get("matches", ()):
        session.print_line(f'\ngoal: "{match["goal"]}"' + _verdict(match))
        rows = [views.candidate_row(candidate) for candidate in match["candidates"]]
        session.print_table(views.CANDIDATE_COLUMNS, rows, "no candidates")
        for line in (line for candidate in match["candidates"][:WHY] for line in views.learned_lines(candidate)):
            session.print_line(line)
        for excluded in match.get("excluded", ()):
            session.print_line(f"  not eligible: {excluded['agent_id']}: {excluded['reason']}")
    if explanation.get("drawing"):
        session.print_line("\n" + explanation["drawing"])
    for line in plan_lines(explanation["plan"]) if explanation.get("plan") else ():
        session.print_line(line)
    if problem := explanation.get("policy_problem"):
        decides = ", ".join(dict.fromkeys(match["policy"] for match in explanation.get("matches", ())))
        session.print_line(f"\nthe policy in force is not used, {decides or 'the last good one'} decides: {problem}")
    if failure := explanation.get("failure"):
        session.print_line(f"\n{failure['code']}: {failure['message']}")


def _verdict(match: dict[str, Any]) -> str:
    """Whether somebody was found for a goal. Who is near may still be barred: the lines below say by what."""
    if not match["abstained"]:
        return ""
    candidates = match["candidates"]
    near = bool(candidates) and candidates[0]["score"] >= match["threshold"]
    return " — nobody may be chosen" if near or not candidates else " — nobody is near enough"
