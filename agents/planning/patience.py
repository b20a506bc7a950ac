"""Plans again when somebody who was registered a moment ago may do the task. Put around the planner by the wiring."""

import logging
from typing import Protocol

from agents.errors import BusUnavailable, NoAgentFits, NoNetworkFits, NoNetworkGoodEnough
from agents.ports.planning import Planned, Planner
from schemas.task import TaskSubmitted
from tensor_layer.ports import Perceived

logger = logging.getLogger(__name__)


class Following(Protocol):
    """A fleet that can be waited for."""

    def version(self, tenant: str) -> int:
        """Grows with every change of the tenant's agents."""
        ...

    async def catch_up(self) -> None:
        """Return once all that was registered until now is known. Raises BusUnavailable."""
        ...


class PatientPlanner:
    """ports.Planner: a worker may hear of a task before it hears of the agent that was registered for it."""

    def __init__(self, planner: Planner, fleet: Following) -> None:
        self._planner = planner
        self._fleet = fleet

    async def plan(self, task: TaskSubmitted, perceived: Perceived) -> Planned:
        """Raises NoAgentFits, NoNetworkFits and their kin once nothing new is to be known."""
        version = self._fleet.version(task.tenant)
        try:
            return await self._planner.plan(task, perceived)
        except NoNetworkGoodEnough:
            raise
        except (NoAgentFits, NoNetworkFits):
            if not await self._has_news(task.tenant, version):
                raise
        return await self._planner.plan(task, perceived)

    async def _has_news(self, tenant: str, version: int) -> bool:
        try:
            await self._fleet.catch_up()
        except BusUnavailable as error:
            logger.warning("whether an agent was registered just now is not known: %s", error)
        return self._fleet.version(tenant) != version
