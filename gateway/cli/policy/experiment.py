"""``aos experiment``: two policies share traffic until the evidence decides. Talks straight to the bus."""

import math
from typing import TYPE_CHECKING, Annotated, Any

import typer

from evolution.errors import NoExperiment
from evolution.policies.bucket import BUILT_IN
from gateway.cli.bus.which import place
from gateway.cli.policy import views
from gateway.cli.policy.options import Name, Reason, Reviewed, say_state
from gateway.cli.policy.source import opened, who
from gateway.cli.terminal import session
from gateway.cli.terminal.evolution_failure import failed
from gateway.cli.terminal.failure import ExitCode, Failed
from gateway.cli.terminal.session import Json, Tenant
from schemas.base import is_token, new_id
from schemas.policy_state import PolicyExperiment, PolicyState

if TYPE_CHECKING:
    from evolution.policies.trial import Progress

app = typer.Typer(help="Two policies share traffic until the evidence decides.")


@app.command()
def start(
    candidate: Name,
    name: Annotated[str, typer.Option("--name", help="Of the experiment; default: exp- and the candidate.")] = "",
    share: Annotated[float, typer.Option("--share", help="Of the tasks: the canary's first step.")] = 0.01,
    automatic: Annotated[
        bool, typer.Option("--automatic/--watch", help="Widen, promote or roll back by itself, or only measure.")
    ] = True,
    reason: Reason = "",
    as_json: Json = False,
    tenant: Tenant = None,
) -> None:
    """Let a candidate share the traffic of the policy in force, a small canary first."""
    settings = session.settings_from({"tenant": tenant}).settings
    called = name or f"exp-{candidate}"[:64]
    if not is_token(called):
        raise Failed(f"{called!r} is no name for an experiment", exit_code=ExitCode.USAGE)
    if not 0.0 < share < 1.0:
        raise Failed(f"--share {share:g} compares nothing: it must lie between 0 and 1", exit_code=ExitCode.USAGE)
    trial = PolicyExperiment(name=called, candidate=candidate, share=share, salt=new_id(), automatic=automatic)

    async def work() -> PolicyState:
        async with opened(settings, changes=True) as (registry, _):
            return await registry.start_experiment(settings.tenant, trial, who(reason))

    state = session.run(work())
    say_state(state, f"{called}: {share:.0%} of the tasks go to {candidate}; aos experiment status", as_json)


@app.command()
def status(as_json: Json = False, tenant: Tenant = None) -> None:
    """How the running experiment stands: tasks of each arm, how many people judged, the difference and its interval."""
    settings = session.settings_from({"tenant": tenant}).settings

    async def work() -> "Progress | str":
        from evolution.policies.loop import DESIGN  # lazy: the tests bring scipy
        from evolution.policies.trial import progress
        from gateway.policy_desk import trial_memory

        async with opened(settings, guards=True) as (registry, store):
            state = await registry.state(settings.tenant)
            changes, memory = await registry.bucket.changes(settings.tenant), trial_memory(settings)
            return await progress(store, state, changes, DESIGN, memory=memory) or views.ended(changes)

    found = session.run(work())
    if isinstance(found, str):
        raise failed(NoExperiment(f"no experiment is running for tenant {settings.tenant}"), found)
    if as_json:
        session.print_json(_as_json(found))
        return
    trial, success = found.experiment, found.verdict.success
    session.print_line(f"{trial.name}: {trial.candidate} against {found.control} since {trial.since:%Y-%m-%d %H:%M}")
    session.print_line(f"on the bus {place(settings)}")
    rows = [row for stage in _stages_json(found) for row in _stage_rows(stage)]
    session.print_table(("share", "arm", "tasks", "judged", "success", "latency ms", "cost"), rows, "no tasks yet")
    if any(stage.judged(arm) for stage in found.stages for arm in ("treatment", "control")):
        session.print_line("\njudged: what people said of so many tasks counts instead of their own success")
    astray = sum(stage.strayed("treatment") for stage in found.stages)
    if astray:
        session.print_line(f"\n{astray} more tasks of {trial.candidate} were routed by another policy: workers lack it")
    if math.isinf(success.low):
        session.print_line("\nsuccess: too few tasks to say anything")
    else:
        interval = f"95 % sequence {success.low:+.1%} to {success.high:+.1%}, valid at any look"
        session.print_line(f"\nsuccess: {success.value:+.1%} ({interval})")
    mode = "" if trial.automatic else " (measured only: nothing happens by itself)"
    session.print_line(f"now: {found.verdict.action.value}, {found.verdict.reason}{mode}")


@app.command()
def stop(
    promote: Annotated[bool, typer.Option("--promote", help="Put the candidate in force instead.")] = False,
    reviewed: Reviewed = False,
    reason: Reason = "",
    as_json: Json = False,
    tenant: Tenant = None,
) -> None:
    """End the experiment: all traffic back to the policy in force, or with --promote to the candidate."""
    settings = session.settings_from({"tenant": tenant}).settings

    async def work() -> PolicyState:
        async with opened(settings, changes=True, guards=promote and not reviewed) as (registry, _):
            state = await registry.state(settings.tenant)
            if promote and state.experiment is not None:
                candidate = state.experiment.candidate
                return await registry.promote(settings.tenant, candidate, who(reason), reviewed=reviewed)
            return await registry.stop_experiment(settings.tenant, who(reason))

    state = session.run(work())
    say_state(state, f"ended: {state.active or BUILT_IN} gets all tasks", as_json)


def _as_json(found: "Progress") -> dict[str, Any]:
    success = found.verdict.success
    return {
        "experiment": found.experiment.model_dump(mode="json"),
        "control": found.control,
        "tasks": found.tasks,
        "stages": _stages_json(found),
        "success_difference": {
            "value": success.value,
            "low": None if math.isinf(success.low) else success.low,
            "high": None if math.isinf(success.high) else success.high,
        },
        "action": found.verdict.action.value,
        "reason": found.verdict.reason,
    }


def _stages_json(found: "Progress") -> list[dict[str, Any]]:
    from evolution.experiments.tallies import COST, LATENCY, SUCCESS

    def arm(stage: Any, name: str) -> dict[str, Any]:  # noqa: ANN401 - a Stage, loaded lazily
        latency = stage.moments(name, LATENCY)
        return {
            "tasks": stage.count(name),
            "judged": stage.judged(name),
            "success": stage.moments(name, SUCCESS).mean,
            "latency_ms": math.expm1(latency.mean),
            "cost": stage.moments(name, COST).mean,
            "strayed": stage.strayed(name),
        }

    return [
        {"share": stage.treatment_share, "treatment": arm(stage, "treatment"), "control": arm(stage, "control")}
        for stage in found.stages
    ]


def _stage_rows(stage: dict[str, Any]) -> list[tuple[object, ...]]:
    return [
        (
            f"{stage['share']:.0%}" if arm == "treatment" else "",
            arm,
            stage[arm]["tasks"],
            stage[arm]["judged"],
            *_arm_cells(stage[arm]),
        )
        for arm in ("treatment", "control")
    ]


def _arm_cells(arm: dict[str, Any]) -> tuple[str, str, str]:
    if not arm["tasks"]:
        return ("—", "—", "—")
    return (f"{arm['success']:.1%}", f"{arm['latency_ms']:.0f}", f"{arm['cost']:.4g}")
