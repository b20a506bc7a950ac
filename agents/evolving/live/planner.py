"""Plans a known kind of task at once with its evolved network; what is new is woven greedily and becomes a kind.

Implements ``ports.Planner`` around ``planning.GreedyPlanner``. The network of a kind serves a task only while every
agent of it is there with the same card, all types fit, the budget allows it, and nobody else has come nearer.
"""

import asyncio
import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from agents.errors import NoNetworkGoodEnough
from agents.evolving.live.background import Background
from agents.evolving.live.binding import CardDigests, bound, fits_fleet, labels_of, skill_words, template_of
from agents.evolving.live.book import PlanBook
from agents.evolving.live.kinds import Goals, Met
from agents.evolving.live.reports import reports_of
from agents.evolving.live.shape import shape_of
from agents.matching.remembered import Remembered
from agents.planning.complexity import TaskAnalysis, analyse
from agents.planning.nearness import EncodeTexts
from agents.planning.planner import GreedyPlanner, Woven
from agents.ports import Fleet, Planned
from schemas.base import new_id, now
from schemas.card import Liveness
from schemas.network import Plan
from schemas.refinement import PlanTemplate
from schemas.task import TaskSubmitted
from tensor_layer.ports import Perceived, Vector

WOVEN_KEPT = 512
SKILL_VECTORS_KEPT = 8192
NEARLY = 0.02
"""Cosine by which a rival must be nearer to the task before a kind's network is not used for other words."""

EVOLVED = ("network", "errands", "fits", "cards", "planner", "refined", "worth")
"""What of a template the search made."""

PolicyOf = Callable[[TaskSubmitted], str | None]
"""The routing policy that decides a task; None when it wants to try somebody else with this very task."""


@dataclass(frozen=True, slots=True)
class _Question:
    """A task as kinds see it."""

    task: TaskSubmitted
    analysis: TaskAnalysis
    shape: str
    vector: Vector | None
    started: float

    @property
    def goals(self) -> Goals:
        return tuple(goal.text for goal in self.analysis.goals)


class KindPlanner:
    """Safe for concurrent use. ``fresh_share`` of the tasks are woven anew, so that a kind's network stays on trial.

    A task with which routing wants to try somebody else is woven for itself alone.
    """

    def __init__(
        self,
        greedy: GreedyPlanner,
        fleet: Fleet,
        encode_texts: EncodeTexts,
        book: PlanBook,
        background: Background,
        digests: CardDigests,
        *,
        fresh_share: float = 0.05,
        policy_of: PolicyOf = lambda _task: "",
    ) -> None:
        self._greedy = greedy
        self._fleet = fleet
        self._encode = encode_texts
        self._book = book
        self._background = background
        self._digests = digests
        self._fresh_share = fresh_share
        self._policy_of = policy_of
        self._woven: Remembered[tuple[int, Woven]] = Remembered(WOVEN_KEPT)
        """What this worker wove for each kind, and under which version of the fleet."""
        self._uses: Remembered[list[int]] = Remembered(WOVEN_KEPT)
        self._skills: Remembered[Vector] = Remembered(SKILL_VECTORS_KEPT)
        self._writing: set[asyncio.Task[None]] = set()

    async def plan(self, task: TaskSubmitted, perceived: Perceived) -> Planned:
        """The plan of a task. Raises NoAgentFits, NoNetworkFits, NoNetworkGoodEnough, BudgetExceeded."""
        started = time.perf_counter()
        policy = self._policy_of(task)
        if task.routing.pin or policy is None:
            return (await self._greedy.weave(task, perceived)).planned
        analysis = analyse(perceived.parts)
        asked = _Question(task, analysis, shape_of(analysis, task, policy), perceived.vector, started)
        found = self._book.meet(task.tenant, asked.shape, asked.goals, asked.vector)
        known = (
            found is not None and not self._is_fresh(task) and not self._book.was_doubted(task.tenant, found[1].kind)
        )
        planned = self._as_known(asked, *found) if found and known else None
        return planned or await self._anew(asked, perceived, found)

    def _is_fresh(self, task: TaskSubmitted) -> bool:
        return (
            int.from_bytes(hashlib.blake2b(task.task_id.encode(), digest_size=8).digest()) < self._fresh_share * 2**64
        )

    def _as_known(self, asked: _Question, template: PlanTemplate, met: Met) -> Planned | None:
        """The plan with the kind's network; None when it cannot serve this task."""
        cards = self._fleet.cards(asked.task.tenant)
        if template.fleet != self._digests.fleet(asked.task.tenant, cards):
            return None
        version, woven = self._woven.get((template.tenant, template.kind)) or (self._fleet.version, None)
        # Somebody came back to life or fell silent: who is a candidate, and who is not and why, has to be said anew.
        if version != self._fleet.version or not self._all_alive(template, asked.task.tenant):
            return None
        if not fits_fleet(template, asked.analysis, cards, self._digests):
            return None
        near = None if met.word_for_word else self._near(asked, template)
        if not met.word_for_word and len(asked.analysis.goals) == 1 and near is None:
            return None
        try:
            plan = self._plan(asked, template, woven)
        except NoNetworkGoodEnough:
            # Woven anew, the task may have a better one; if not, that is what its sender hears.
            return None
        if asked.task.max_cost is not None and plan.estimated_cost > asked.task.max_cost:
            return None
        self._count(asked, template, woven)
        reports = reports_of(asked.analysis, template, woven if met.word_for_word else None, near)
        return Planned(plan, reports, 0.0, _since_ms(asked.started))

    def _plan(self, asked: _Question, template: PlanTemplate, woven: Woven | None) -> Plan:
        plan = self._greedy.plan_for(asked.task, bound(template, asked.analysis), template.fits)
        spare = woven.planned.plan.substitutes if woven is not None and not template.refined else {}
        return plan.model_copy(update={**_said_of(template), "substitutes": spare})

    def _all_alive(self, template: PlanTemplate, tenant: str) -> bool:
        agents = {node.agent_id for node in template.network.nodes}
        return all(self._fleet.liveness(tenant, agent) is not Liveness.DEAD for agent in agents)

    def _near(self, asked: _Question, template: PlanTemplate) -> dict[str, float] | None:
        """Cosines of who was near; None when somebody else is nearest to these words, or that is not known."""
        if asked.vector is None or not template.rivals:
            return None
        vectors = {label: self._skills.get((template.fleet, label)) for label in template.rivals}
        if any(vector is None for vector in vectors.values()):
            return None
        near = {label: float(vector @ asked.vector) for label, vector in vectors.items() if vector is not None}
        return near if near[template.rivals[0]] >= max(near.values()) - NEARLY else None

    def _count(self, asked: _Question, template: PlanTemplate, woven: Woven | None) -> None:
        """When it is met again, and after 2, 4, 8, 16 … uses, there is more experience: a better one is looked for."""
        key = (template.tenant, template.kind)
        uses = self._uses.get(key) or [0]
        uses[0] += 1
        self._uses.keep(key, uses)
        if woven is not None and uses[0] & (uses[0] - 1) == 0:
            self._background.wish(template, woven, asked.vector)

    async def _anew(self, asked: _Question, perceived: Perceived, found: tuple[PlanTemplate, Met] | None) -> Planned:
        """Weave the task's own network, and make or renew its kind."""
        version = self._fleet.version  # read before anything it covers: a change meanwhile only wastes this entry
        woven = await self._greedy.weave(asked.task, perceived)
        if woven.analysis.goals != asked.analysis.goals:
            return woven.planned  # it could only be read as a whole: nothing to say of others like it
        template = await self._renewed(asked, woven, found)
        if template is None:
            return woven.planned
        self._woven.keep((template.tenant, template.kind), (version, woven))
        if found is not None:
            # Most tasks are never met again: what is met for the first time is not worth a search yet.
            self._background.wish(template, woven, asked.vector)
        evolved = template.refined > 0 and not self._is_fresh(asked.task)
        word_for_word = Met(template.kind, 1.0, word_for_word=True)
        served = self._as_known(asked, template, word_for_word) if evolved else None
        plan = served.plan if served else woven.planned.plan.model_copy(update={"kind": template.kind})
        return replace(woven.planned, plan=plan)

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
        made = template_of(kind, asked.shape, tenant, woven, asked.vector, self._digests, cards)
        if made is None:
            return None
        if present and same and fits_fleet(present, asked.analysis, cards, self._digests):
            if present.fleet == made.fleet:
                return present
            made = present.model_copy(update={"fleet": made.fleet, "rivals": made.rivals, "at": now()})
        elif present is None:
            evolved = self._book.elsewhere(tenant, asked.goals, made.woven)
            if evolved and fits_fleet(evolved, asked.analysis, cards, self._digests):
                made = made.model_copy(update={name: getattr(evolved, name) for name in EVOLVED})
        await self._learn_skills(made)
        evicted = self._book.take(made)
        writing = asyncio.create_task(self._book.share(made, evicted), name=f"share kind {kind}")
        self._writing.add(writing)
        writing.add_done_callback(self._writing.discard)
        return made

    async def _learn_skills(self, template: PlanTemplate) -> None:
        """Vectors of who was near, to compare them with other words of the kind. The encoder knows them already."""
        cards = self._fleet.cards(template.tenant)
        words = {
            label: text
            for label, text in skill_words(template.rivals, cards).items()
            if self._skills.get((template.fleet, label)) is None
        }
        if words:
            rows = await self._encode(list(words.values()))
            for label, row in zip(words, rows, strict=True):
                self._skills.keep((template.fleet, label), row)


def _said_of(template: PlanTemplate) -> dict[str, object]:
    return {"planner": template.planner, "kind": template.kind, "refined": template.refined}


def _since_ms(started: float) -> float:
    return (time.perf_counter() - started) * 1000.0
