"""A folder of agent cards: registers them, and keeps running those that say how they are started. Run by deployments.

Only commands of cards in this folder are ever started: a card that came in through a door is data, not a program.
"""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from agents.errors import CardInvalid
from agents.ports.registry import Registry
from agents.registry.card_files import FolderLoad, LoadedCard
from agents.registry.folder_watch import FolderWatch
from gateway.supervision.agent_commands import name_of
from gateway.supervision.agent_ports import AgentPorts
from gateway.supervision.child import ChildSpec
from gateway.supervision.supervisor import ChildState, Supervisor

SpecOf = Callable[[LoadedCard], ChildSpec | None]


class AgentFolder(FolderWatch):
    """A followed folder whose agents' processes follow it, too. ``ready`` is set once their processes are started.

    ``on_moved`` is told, in words, of each agent that cannot have the port of its card.
    """

    def __init__(
        self,
        folder: Path,
        registry: Registry,
        supervisor: Supervisor,
        spec_of: SpecOf,
        on_refused: Callable[[CardInvalid], None],
        on_moved: Callable[[str], None],
        memory: Path | None = None,
    ) -> None:
        super().__init__(folder, registry, on_refused, memory)
        self._ports = AgentPorts(on_moved)
        self._supervisor = supervisor
        self._spec_of = spec_of
        self._running: frozenset[str] = frozenset()

    async def synchronise(self) -> FolderLoad:
        """Bring the registry and the processes in step with the folder. Raises BusUnavailable."""
        loaded = await super().synchronise()
        specs = {spec.name: spec for spec in map(self._spec_of, loaded.cards) if spec is not None}
        gone = self._running - specs.keys()
        await asyncio.gather(*(self._supervisor.remove(name) for name in gone))
        await asyncio.gather(*(self._supervisor.replace(spec) for spec in specs.values()))
        self._running = frozenset(specs)
        return loaded

    def _load(self) -> FolderLoad:
        loaded = super()._load()
        down = {(each.card.tenant, each.card.id) for each in loaded.cards if self._is_down(each)}
        return replace(loaded, cards=self._ports.settle(loaded.cards, down))

    def _is_down(self, loaded: LoadedCard) -> bool:
        """Whether its process was started and did not stay: then it cannot be itself who sits at its port."""
        name = name_of(loaded.card)
        down = (ChildState.WAITING, ChildState.GIVEN_UP)
        return name in self._running and self._supervisor.status(name).state in down
