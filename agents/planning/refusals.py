"""Why a task cannot be planned, in words its sender can act on. Called by ``planner``."""

from collections.abc import Sequence

from agents.planning.promise import Promise
from schemas.candidate import MatchReport
from schemas.network import Network


def nobody(report: MatchReport) -> str:
    """No agent is near enough to a goal."""
    nearest = ", ".join(f"{c.agent_id}.{c.skill_id} {c.score:.2f}" for c in report.candidates[:3])
    doubt = f" The chance that nobody can do it is {report.doubt:.0%}." if report.doubt is not None else ""
    near = f" The nearest were {nearest}; the threshold is {report.threshold:.2f}.{doubt}" if nearest else ""
    unfit = "; ".join(f"{excluded.agent_id}: {excluded.reason}" for excluded in report.excluded[:3])
    barred = f" Not eligible: {unfit}." if unfit else ""
    return (
        f"No agent fits {report.goal[:200]!r}.{near}{barred} "
        "Say more about what is wanted, or register an agent whose skill describes it."
    )


def left(agents: Sequence[str]) -> str:
    """Agents that were chosen are there no more."""
    gone = " and ".join(dict.fromkeys(agents))
    return f"{gone} left the fleet while the task was planned. Submit the task again: it is planned without."


def too_dear(max_cost: float, tried: list[str]) -> str:
    """Every network costs more than the task may."""
    return f"No network stays within max_cost {max_cost:g}. Tried: {'; '.join(tried)}. Raise max_cost, or leave it out."


def too_poor(network: Network, promise: Promise, threshold: float) -> str:
    """The best network promises less than the tenant asks for."""
    agents = " and ".join(f"{node.agent_id}.{node.skill_id}" for node in network.nodes)
    known = f"{promise.steps_seen} past steps" if promise.steps_seen else "no experience yet, only the prior"
    quality = promise.quality
    return (
        f"No network is good enough. The best found ({agents}) promises {quality.middle:.2f} "
        f"({quality.low:.2f} to {quality.high:.2f}, from {known}); the tenant asks for {threshold:.2f}. "
        "Register an agent that does it better, word the task nearer to what an agent offers, or lower the threshold "
        "(aos policy prefer --threshold; for all tenants AOS_AGENTS__QUALITY_THRESHOLD)."
    )
