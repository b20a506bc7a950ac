"""``aos replay evaluate``: what another policy would have earned on decisions that were logged."""

from collections.abc import Collection
from typing import Annotated, Any

import typer

from evolution.ports import ExperienceQuery
from gateway.cli.replay.sources import check_fixed_agents, policies_and_store
from gateway.cli.terminal import session
from gateway.cli.terminal.bar import bar
from gateway.cli.terminal.session import Json, Tenant
from gateway.cli.terminal.windows import Window, span

Policies = Annotated[
    list[str] | None,
    typer.Option(
        "--policy",
        help="Version, or cosine-1, logged, uniform, best-scored, always:AGENT, active, reference; repeat.",
    ),
]


_MEANING = (
    "Share of tasks that would succeed, with 95 % intervals; where people judged a result, their judgement. effective: "
    "how many decisions the estimates rest on; unsupported: choices of which the log knows nothing."
)


def evaluate(
    policy: Policies = None,
    window: Window = "7d",
    agent: Annotated[str | None, typer.Option(help="Only tasks that this agent worked on.")] = None,
    as_json: Json = False,
    tenant: Tenant = None,
) -> None:
    """Off-policy evaluation: IPS, self-normalised IPS and doubly robust, with intervals and effective sample size."""
    from evolution.replay.evaluating import PolicyEvaluation  # lazy: scipy takes 0.3 s that --help need not pay
    from gateway.replay.comparands import ACTIVE, LOGGED, REFERENCE

    settings = session.settings_from({"tenant": tenant}).settings
    names = list(dict.fromkeys([LOGGED, *(policy or ("cosine-1", ACTIVE, REFERENCE))]))
    dispensable = () if policy else (ACTIVE, REFERENCE)
    asked = span(window)
    query = ExperienceQuery(tenant=settings.tenant, since=asked.since, until=asked.until, agent_id=agent)

    async def work() -> Any:  # noqa: ANN401 - a Comparison, whose module is loaded lazily
        async with policies_and_store(settings, names, asked, dispensable=dispensable) as (policies, store):
            with bar(f"evaluating {', '.join(policies)} on {window}", silent=as_json) as progress:
                return await PolicyEvaluation(store).compare(query, policies, progress)

    found = session.run(work())
    check_fixed_agents(names, found.agents)
    if as_json:
        session.print_json(_as_json(found, names))
        return
    rows = [_row(name, evaluation) for name, evaluation in found.evaluations.items()]
    columns = ("policy", "IPS", "self-normalised", "doubly robust", "decisions", "effective", "unsupported")
    session.print_table(columns, rows, "nothing to evaluate")
    session.print_line(f"\n{_MEANING}")
    for name, evaluation in found.evaluations.items():
        for warning in evaluation.warnings:
            session.print_line(f"\n! {name}: {warning}")
    if found.left_out:
        left = ", ".join(f"{count} because {reason}" for reason, count in found.left_out.items())
        session.print_line(f"\nleft out: {left}")


def _row(name: str, evaluation: Any) -> tuple[object, ...]:  # noqa: ANN401 - an Evaluation
    estimates = (evaluation.ips, evaluation.self_normalised, evaluation.doubly_robust)
    said = (f"{one.value:.3f} [{one.low:.3f}, {one.high:.3f}]" for one in estimates)
    return (name, *said, evaluation.decisions, f"{evaluation.effective_size:.0f}", f"{evaluation.unsupported:.1%}")


def _as_json(found: Any, names: Collection[str]) -> dict[str, Any]:  # noqa: ANN401 - a Comparison
    def fields(value: Any) -> dict[str, Any]:  # noqa: ANN401
        return {name: getattr(value, name) for name in value.__slots__}

    evaluations = {}
    for name, evaluation in found.evaluations.items():
        plain = fields(evaluation)
        for estimate in ("ips", "self_normalised", "doubly_robust"):
            plain[estimate] = fields(plain[estimate])
        roles = name.partition(" (")[2].rstrip(")").split(", ")
        evaluations[name] = {"asked": [one for one in names if one in (name.partition(" (")[0], *roles)], **plain}
    return {"evaluations": evaluations, "left_out": dict(found.left_out)}
