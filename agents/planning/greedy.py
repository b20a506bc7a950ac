"""Weaves the first network: for each goal the best candidate that can be fed, bridged and joined where needed. Pure.

Called by ``planner`` with everything already known: goals, match reports, eligible skills, nearness. A later issue lets
a genetic search improve on what this returns; it must be good enough to run at once.
"""

from dataclasses import dataclass, field, replace

from pydantic import ValidationError

from agents.errors import NoNetworkFits
from agents.planning.bridge import Hop, Nearness
from agents.planning.catalogue import Eligible
from agents.planning.complexity import Goal
from agents.planning.draft import Draft
from agents.planning.errands import is_poor_beside
from agents.planning.feeding import Bridges, Feed, Link, Source, feed
from agents.planning.joining import join
from agents.planning.offers import Kinds, Offer
from agents.planning.typecheck import TypeProblem, check, flowing
from schemas.candidate import Candidate, MatchReport
from schemas.network import TASK, Network
from schemas.parts import Modality

MAX_NODES = 16

# Prices in units of score (cosine): what an advantage in words must be worth to pay for a worse fit of types.
HOP_PRICE = 0.04
UNWANTED_PRICE = 0.15


@dataclass(frozen=True, slots=True)
class Commission:
    """All that weaving needs. ``reports`` has one entry for each goal; ``offers`` holds every eligible skill."""

    goals: tuple[Goal, ...]
    reports: tuple[MatchReport, ...]
    offers: Eligible
    nearness: Nearness
    content: Kinds
    task: Kinds


@dataclass(frozen=True, slots=True)
class _Choice:
    offer: Offer
    feed: Feed
    value: float
    finish: tuple[Hop, ...] = ()
    """Agents after the skill that turn its answer into the kind the goal asks for."""


@dataclass(slots=True)
class _Work:
    """What has been woven so far, and what was tried in vain."""

    commission: Commission
    draft: Draft = field(default_factory=Draft)
    placed: list[str] = field(default_factory=list)
    consumed: set[str] = field(default_factory=set)
    """Goals' answers that a later goal asked for: the others belong to the result."""
    tried: list[str] = field(default_factory=list)
    bridges: Bridges = field(init=False)

    def __post_init__(self) -> None:
        self.bridges = Bridges(self.commission.offers, self.commission.nearness)


def weave(commission: Commission) -> Network:
    """The greedy network, validated. Raises NoNetworkFits with everything that was tried.

    Where nothing joins the answers of several agents, and all that is there is words, one that is near enough to every
    goal does them all.
    """
    work, problem = _placed(commission)
    if problem and commission.content != {Modality.TEXT}:
        raise NoNetworkFits(problem)
    if problem:
        work = _done_by_one(commission, problem)
    return _validated(work)


def _placed(commission: Commission) -> tuple[_Work, str | None]:
    """Every goal in the draft, and why the draft has several ends, if it has. Raises NoNetworkFits."""
    work = _Work(commission)
    for goal, report in zip(commission.goals, commission.reports, strict=True):
        work.placed.append(_place(work, goal, report))
    answers = dict.fromkeys(node for node in work.placed if node not in work.consumed)
    return work, join(work.draft, tuple(answers), commission.offers.go_betweens, commission.nearness)


def _done_by_one(commission: Commission, problem: str) -> _Work:
    """The best of those who may do every goal does them alone: a request cut too finely is one goal after all."""
    scores = [_near_enough(report) for report in commission.reports]
    able = [key for key in frozenset(scores[0]).intersection(*scores) if key in commission.offers]
    for key in sorted(able, key=lambda key: (-sum(score[key] for score in scores), key)):
        try:
            work, several = _placed(replace(commission, offers=commission.offers.only(key)))
        except NoNetworkFits:
            continue
        if several is None:
            return work
    raise NoNetworkFits(problem)


def _near_enough(report: MatchReport) -> dict[tuple[str, str], float]:
    """The scores of the candidates that may be chosen."""
    return {(one.agent_id, one.skill_id): one.score for one in report.candidates if one.score >= report.threshold}


def _place(work: _Work, goal: Goal, report: MatchReport) -> str:
    """Put the goal's best skill into the draft and return the node that answers it."""
    previous = work.placed[-1] if work.placed else None
    if previous and _same_again(work, goal, report, previous):
        work.draft.extend(previous, goal.text)
        return previous
    choice = _best(work, goal, report, _sources(work, goal)) or _best(work, goal, report, _off_course(work))
    if choice is None:
        raise NoNetworkFits(_in_vain(goal, work.tried))
    node = work.draft.add(choice.offer, goal.text, choice.feed)
    if goal.depends_on_previous:
        work.consumed.update(link.source for link in choice.feed.links)
    return _finished(work, node, choice)


def _same_again(work: _Work, goal: Goal, report: MatchReport, previous: str) -> bool:
    """Two goals in a row for one skill are one step: "load the table and sort it"."""
    if not goal.depends_on_previous or goal.gathers or not report.candidates:
        return False
    best = max(report.candidates, key=lambda candidate: candidate.score)
    return (best.agent_id, best.skill_id) == work.draft.offer(previous).key


def _sources(work: _Work, goal: Goal) -> tuple[Source, ...]:
    """What the goal should read: everything done so far, the goal before, or the task's content."""
    if goal.gathers and work.placed:
        return tuple(Source(node, work.draft.kinds(node)) for node in work.draft.sinks())
    if goal.depends_on_previous and work.placed:
        return (Source(work.placed[-1], work.draft.kinds(work.placed[-1])),)
    content = work.commission.content
    return (Source(TASK, (content & goal.about) or content),)


def _off_course(work: _Work) -> tuple[Source, ...]:
    """What else it may read: all that is attached. Never the words instead of the attachments: that would answer
    another question than was asked.
    """
    return (Source(TASK, work.commission.content),)


def _best(work: _Work, goal: Goal, report: MatchReport, sources: tuple[Source, ...]) -> _Choice | None:
    """The best that can be fed, unless one that cannot be is what the words mean by far."""
    fed: list[tuple[Candidate, _Choice]] = []
    unfed: list[Candidate] = []
    for candidate in report.candidates:
        offer = work.commission.offers.get((candidate.agent_id, candidate.skill_id))
        if offer is None or candidate.score < report.threshold:
            continue
        choice = _weighed(work, goal, offer, candidate.score, sources)
        if isinstance(choice, TypeProblem):
            work.tried.append(str(choice))
            unfed.append(candidate)
        else:
            fed.append((candidate, choice))
    missed = [_missed(candidate, choice.feed, unfed, report) for candidate, choice in fed]
    choices = [choice for (_, choice), meant in zip(fed, missed, strict=True) if meant is None]
    if not choices and missed and missed[0]:
        nearer = f"these words are much nearer to {_label(missed[0])}"
        work.tried.append(f"{_label(fed[0][0])} could do it without, but {nearer}")
    return max(choices, key=lambda choice: choice.value, default=None)


def _missed(candidate: Candidate, feed: Feed, unfed: list[Candidate], report: MatchReport) -> Candidate | None:
    """Who lacks its content and is meant so much more that the candidate is no stand-in for it."""
    toll = HOP_PRICE * feed.hops
    return next((one for one in unfed if is_poor_beside(candidate, one, report, toll)), None)


def _label(candidate: Candidate) -> str:
    return f"{candidate.agent_id}.{candidate.skill_id}"


def _weighed(work: _Work, goal: Goal, offer: Offer, score: float, sources: tuple[Source, ...]) -> _Choice | TypeProblem:
    fed = feed(offer, sources, work.commission.task, work.bridges)
    if isinstance(fed, TypeProblem):
        return fed
    value = score - HOP_PRICE * fed.hops
    if goal.wants is None or goal.wants in offer.outputs:
        return _Choice(offer, fed, value)
    finish = () if goal.wants is Modality.TEXT else work.bridges.build(offer.outputs, frozenset({goal.wants}))
    if finish:
        return _Choice(offer, fed, value - HOP_PRICE * len(finish), finish)
    return _Choice(offer, fed, value - UNWANTED_PRICE)


def _finished(work: _Work, node: str, choice: _Choice) -> str:
    for hop in choice.finish:
        kinds = flowing(work.draft.kinds(node), hop.offer.inputs)
        node = work.draft.add(hop.offer, work.draft.goal(node), Feed((Link(node, (), kinds),)))
    return node


def _validated(work: _Work) -> Network:
    if len(work.draft) > MAX_NODES:
        raise NoNetworkFits(
            f"The task would need {len(work.draft)} agents at work and a network has at most {MAX_NODES}. "
            "Split it into several tasks."
        )
    try:
        network = work.draft.network()
    except ValidationError as error:
        raise NoNetworkFits(f"The network is not well formed: {error.errors()[0]['msg']}") from error
    problems = check(network, work.commission.offers, work.commission.task)
    if problems:
        raise NoNetworkFits("The types of the network do not fit: " + "; ".join(map(str, problems)))
    return network


def _in_vain(goal: Goal, tried: list[str]) -> str:
    reasons = "; ".join(dict.fromkeys(tried)) or "no candidate is both near enough and known to the fleet"
    return (
        f"No network does {goal.text[:200]!r}: {reasons}. "
        "Attach the content that the agent reads, or register an agent that converts it."
    )
