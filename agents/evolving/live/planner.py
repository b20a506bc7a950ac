"""Plans a known kind of task at once with its evolved network; what is new is woven greedily and becomes a kind.

Implements ``ports.Planner`` around ``planning.GreedyPlanner``. The network of a kind serves a task only while every
agent of it is there with the same card, all types fit, the budget allows it, and nobody else has come nearer: words
that are new to this worker are matched once, and keep the kind's network only where matching would choose the same.
"""

import asyncio
import hashlib
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace

from agents.errors import NoNetworkGoodEnough
from agents.evolving.live.background import Background
from agents.evolving.live.binding import CardDigests, bound, fits_fleet, labels_of, template_of, wording_of
from agents.evolving.live.book import PlanBook
from agents.evolving.live.kinds import Goals, Met
from agents.evolving.live.reports import reports_of
from agents.evolving.live.shape import shape_of
from agents.matching.remembered import Remembered
from agents.planning.complexity import TaskAnalysis, analyse
from agents.planning.planner import GreedyPlanner, Woven
from agents.ports.planning import Planned
from agents.ports.registry import Fleet
from schemas.base import new_id, now
from schemas.card import Liveness
from schemas.network import Plan
from schemas.refinement import PlanTemplate
from schemas.task import TaskSubmitted
from tensor_layer.ports import Perceived, Vector

WOVEN_KEPT = 512

EVOLVED = ("network", "errands", "fits", "cards", "planner", "refined", "worth")
"""What of a template the search made."""

PolicyOf = Callable[[TaskSubmitted], str | None]
"""The routing policy that decides a task; None when it wants to try somebody else with this very task."""


@dataclass(frozen=True, slots=True)
class _Question:
    """A task as kinds see it."""

    task: TaskSubmitted
    analysis: TaskAnalysis
    policy: str
    shape: str
    vector: Vector | None
    started: float
    goals: Goals


class KindPlanner:
    """Safe for concurrent use. ``fresh_share`` of the tasks are woven anew, so that a kind's network stays on trial.

    A task with which routing wants to try somebody else is woven for itself alone.
    """

    def __init__(
        self,
        greedy: GreedyPlanner,
        fleet: Fleet,
        book: PlanBook,
        background: Background,
        digests: CardDigests,
        *,
        fresh_share: float = 0.05,
        policy_of: PolicyOf = lambda _task: "",
    ) -> None:
        self._greedy = greedy
        self._fleet = fleet
        self._book = book
        self._background = background
        self._digests = digests
        self._fresh_share = fresh_share
        self._policy_of = policy_of
        self._woven: Remembered[tuple[int, Woven]] = Remembered(WOVEN_KEPT)
        """What this worker wove for each kind, and under which version of the fleet."""
        self._plans: Remembered[tuple[Hashable, Plan]] = Remembered(WOVEN_KEPT)
        """The plan of each kind, with what was learned when it was made."""
        self._uses: Remembered[list[int]] = Remembered(WOVEN_KEPT)
        self._writing: set[asyncio.Task[None]] = set()

    async def plan(self, task: TaskSubmitted, perceived: Perceived) -> Planned:
        """The plan of a task. Raises NoAgentFits, NoNetworkFits, NoNetworkGoodEnough, BudgetExceeded."""
        started = time.perf_counter()
        policy = self._policy_of(task)
        if task.routing.pin or policy is None:
            return (await self._greedy.weave(task, perceived)).planned
        analysis = analyse(perceived.parts)
        shape, goals = shape_of(analysis, task, policy), wording_of(task.tenant, analysis.goals)
        asked = _Question(task, analysis, policy, shape, perceived.vector, started, goals)
        found = self._book.meet(task.tenant, asked.shape, asked.goals, asked.vector)
        known = (
            found is not None and not self._is_fresh(task) and not self._book.was_doubted(task.tenant, found[1].kind)
        )
        planned = self._as_known(asked, found[0]) if found and known and found[1].word_for_word else None
        return planned or await self._anew(asked, perceived)

    def _is_fresh(self, task: TaskSubmitted) -> bool:
        return (
            int.from_bytes(hashlib.blake2b(task.task_id.encode(), digest_size=8).digest()) < self._fresh_share * 2**64
        )

    def _as_known(self, asked: _Question, template: PlanTemplate) -> Planned | None:
        """The plan with the kind's network; None when it cannot serve this task."""
        cards = self._fleet.cards(asked.task.tenant)
        if template.fleet != self._digests.fleet(asked.task.tenant, cards):
            return None
        version, woven = self._woven.get(_place(asked, template)) or (None, None)
        same_fleet = version == self._fleet.version(template.tenant)
        # Somebody came back to life or fell silent: who is a candidate, and who is not and why, has to be said anew.
        if woven is None or not same_fleet or not self._all_alive(template, asked.task.tenant):
            return None
        if not fits_fleet(template, asked.analysis, cards, self._digests):
            return None
        try:
            plan = self._plan(asked, template, woven)
        except NoNetworkGoodEnough:
            # Woven anew, the task may have a better one; if not, that is what its sender hears.
            return None
        if asked.task.max_cost is not None and plan.estimated_cost > asked.task.max_cost:
            return None
        self._count(asked, template, woven)
        return Planned(plan, reports_of(asked.analysis, template, woven), 0.0, _since_ms(asked.started))

    def _plan(self, asked: _Question, template: PlanTemplate, woven: Woven) -> Plan:
        tenant, needs_approval = template.tenant, asked.task.requires_approval
        made_of = (template.at, woven.planned.plan.plan_id, self._fleet.version(tenant))
        key = (tenant, template.kind, asked.analysis, needs_approval, made_of)
        learned, plan = self._plans.get(key) or (None, None)
        now_learned = self._greedy.learned(tenant)
        if plan is None or learned != now_learned:
            plan = self._greedy.plan_for(asked.task, bound(template, asked.analysis), template.fits)
            spare = {} if template.refined else woven.planned.plan.substitutes
            plan = plan.model_copy(update={**_said_of(template), "substitutes": spare})
            self._plans.keep(key, (now_learned, plan))
        return plan.model_copy(update={"plan_id": new_id()})

    def _all_alive(self, template: PlanTemplate, tenant: str) -> bool:
        agents = {node.agent_id for node in template.network.nodes}
        return all(self._fleet.liveness(tenant, agent) is not Liveness.DEAD for agent in agents)

    def _count(self, asked: _Question, template: PlanTemplate, woven: Woven) -> None:
        """When it is met again, and after 2, 4, 8, 16 … uses, there is more experience: a better one is looked for."""
        key = (template.tenant, template.kind)
        uses = self._uses.get(key) or [0]
        uses[0] += 1
        self._uses.keep(key, uses)
        if uses[0] & (uses[0] - 1) == 0:
            self._background.wish(template, woven, asked.vector)

    async def _anew(self, asked: _Question, perceived: Perceived) -> Planned:
        """Weave the task's own network, and make or renew its kind."""
        # The version is read before anything it covers: a change meanwhile only wastes this entry.
        version = self._fleet.version(asked.task.tenant)
        woven = await self._greedy.weave(asked.task, perceived)
        if woven.analysis.goals != asked.analysis.goals:
            return woven.planned  # it could only be read as a whole: nothing to say of others like it
        if self._policy_of(asked.task) != asked.policy:
            return woven.planned  # another policy came into force meanwhile: whose network this is cannot be told
        if asked.task.max_cost is not None:
            return woven.planned  # what its budget forced on it is no model for others
        # Others like it may have founded the kind meanwhile, or a search may have bettered it.
        found = self._book.meet(asked.task.tenant, asked.shape, asked.goals, asked.vector)
        template = await self._renewed(asked, woven, found)
        if template is None:
            return woven.planned
        self._woven.keep(_place(asked, template), (version, woven))
        self._book.also(template, asked.goals)
        if found is not None:
            # Most tasks are never met again: what is met for the first time is not worth a search yet.
            self._background.wish(template, woven, asked.vector)
        evolved = template.refined > 0 and not self._is_fresh(asked.task)
        served = self._as_known(asked, template) if evolved else None
        if served is not None:
            return replace(served, match_ms=woven.planned.match_ms, plan_ms=woven.planned.plan_ms)
        return replace(woven.planned, plan=woven.planned.plan.model_copy(update={"kind": template.kind}))

    async def _renewed(
        self, asked: _Question, woven: Woven, found: tuple[PlanTemplate, Met] | None
    ) -> PlanTemplate | None:
        """The kind's template after a look at this task; None when the woven network can serve no other task.

        An evolved network stays as long as greed would still choose the same agents: else somebody nearer has come,
        or gone, and the kind begins again with the network woven now.
        """
        tenant, cards = asked.task.tenant, self._fleet.cards(asked.task.tenant)
        same = labels_of(woven.network) == found[0].woven if found else False
        # Other words for other agents are a kind of their own.
        present = found[0] if found and (same or found[1].word_for_word) else None
        kind = present.kind if present else f"k-{new_id()[-20:]}"
        made = template_of(kind, asked.shape, asked.task, woven, asked.vector, self._digests, cards)
        if made is None:
            return None
        if present and same and fits_fleet(present, asked.analysis, cards, self._digests):
            if present.fleet == made.fleet:
                return present
            made = present.model_copy(update={"fleet": made.fleet, "at": now()})
        elif present is None:
            evolved = self._book.elsewhere(tenant, asked.goals, made.woven)
            if evolved and fits_fleet(evolved, asked.analysis, cards, self._digests):
                made = made.model_copy(update={name: getattr(evolved, name) for name in EVOLVED})
        evicted = self._book.take(made)
        writing = asyncio.create_task(self._book.share(made, evicted), name=f"share kind {kind}")
        self._writing.add(writing)
        writing.add_done_callback(self._writing.discard)
        return made


def _place(asked: _Question, template: PlanTemplate) -> tuple[str, str, Goals]:
    return (template.tenant, template.kind, asked.goals)


def _said_of(template: PlanTemplate) -> dict[str, object]:
    return {"planner": template.planner, "kind": template.kind, "refined": template.refined}


def _since_ms(started: float) -> float:
    return (time.perf_counter() - started) * 1000.0
