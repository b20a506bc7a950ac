"""Knows the routing rules of every tenant, and plans under them. Put between the journey and its planner by the wiring.

Rules become part of the task's routing hints, so whatever remembers plans by what was asked remembers them by the
rules too.
"""

import asyncio
import logging
from contextlib import suppress
from dataclasses import replace

from nats.js import JetStreamContext
from pydantic import ValidationError

from agents.errors import BusUnavailable, NoAgentFits
from agents.matching.routing_rules import applying, hints_under, told
from agents.ports.planning import Planned, Planner
from agents.registry.kv_feed import KvEntry, follow
from schemas import subjects
from schemas.routing_rule import RoutingRule, RoutingRules
from schemas.task import TaskSubmitted
from tensor_layer.ports import Perceived

logger = logging.getLogger(__name__)


class RuleBook:
    """The rules as the bus has them now. A damaged record is said in the log, and the last good one stays."""

    def __init__(self, js: JetStreamContext) -> None:
        self._js = js
        self._rules: dict[str, tuple[RoutingRule, ...]] = {}
        self._following: asyncio.Task[None] | None = None

    def of(self, tenant: str) -> tuple[RoutingRule, ...]:
        """The tenant's rules."""
        return self._rules.get(tenant, ())

    async def start(self) -> None:
        """Follow the bucket. Tasks that come before the first rules are known are routed without them."""
        self._following = asyncio.create_task(self._follow(), name="routing rules")

    async def stop(self) -> None:
        """Stop following."""
        if self._following is not None:
            self._following.cancel()
            with suppress(asyncio.CancelledError):
                await self._following

    async def _follow(self) -> None:
        try:
            async for entry in follow(self._js, subjects.BUCKET_POLICY, f"*.{subjects.ROUTING_RULES}"):
                self._note(entry)
        except BusUnavailable as error:
            logger.warning("routing rules are no longer followed: %s", error)

    def _note(self, entry: KvEntry) -> None:
        tenant = entry.key.partition(".")[0]
        if entry.removed:
            self._rules.pop(tenant, None)
            return
        try:
            self._rules[tenant] = RoutingRules.model_validate_json(entry.value).rules
        except ValidationError as error:
            logger.error("the routing rules of tenant %s do not read; the last good ones stay: %s", tenant, error)


class RuledPlanner:
    """ports.Planner: another planner, under the tenant's rules."""

    def __init__(self, planner: Planner, book: RuleBook) -> None:
        self._planner = planner
        self._book = book

    async def plan(self, task: TaskSubmitted, perceived: Perceived) -> Planned:
        """Raises NoAgentFits, NoNetworkFits."""
        rules = applying(self._book.of(task.tenant), perceived.vector, perceived.percept.modalities)
        if not rules:
            return await self._planner.plan(task, perceived)
        asked = task.model_copy(update={"routing": hints_under(rules, task.routing)})
        try:
            planned = await self._planner.plan(asked, perceived)
        except NoAgentFits as error:
            names = ", ".join(rule.rule_id for rule in rules)
            raise NoAgentFits(f"{error} (under routing rules {names}; see `aos rules list`)") from error
        return replace(planned, matches=tuple(told(report, rules, task.routing) for report in planned.matches))
