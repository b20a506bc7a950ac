"""Who is alive, as far as this worker knows. Written by heartbeats and probes, read by the fleet."""

from collections import OrderedDict
from collections.abc import Callable

from schemas.card import Liveness

HEARTBEAT_TTL_S = 15.0

AgentKey = tuple[str, str]
"""Tenant and agent id."""


class HealthBoard:
    """The last sign of life of every registered agent. Pure: time comes from ``clock``, in seconds.

    ``changed`` is told the tenant of whoever was registered, removed, fell silent or is heard again.

    ALIVE: heard within ``ttl_s``. UNKNOWN: never heard, registered within ``ttl_s``. DEAD: everything else.
    """

    def __init__(
        self, clock: Callable[[], float], changed: Callable[[str], None], ttl_s: float = HEARTBEAT_TTL_S
    ) -> None:
        self._clock = clock
        self._changed = changed
        self._ttl_s = ttl_s
        # Oldest first, so that a sweep looks only at what has expired.
        self._heard_at: OrderedDict[AgentKey, float] = OrderedDict()
        self._awaited_since: OrderedDict[AgentKey, float] = OrderedDict()
        self._silent: set[AgentKey] = set()
        self._loads: dict[AgentKey, float] = {}

    def expect(self, key: AgentKey) -> None:
        """An agent is registered: it may take its time until the first sign of life."""
        if not self.knows(key):
            self._awaited_since[key] = self._clock()
            self._changed(key[0])

    def knows(self, key: AgentKey) -> bool:
        """Whether the agent is registered."""
        return key in self._heard_at or key in self._awaited_since or key in self._silent

    def forget(self, key: AgentKey) -> None:
        """The agent was removed."""
        self._heard_at.pop(key, None)
        self._awaited_since.pop(key, None)
        self._silent.discard(key)
        self._loads.pop(key, None)
        self._changed(key[0])

    def hear(self, key: AgentKey, load: float = 0.0) -> None:
        """A sign of life. Agents that nobody registered are ignored: memory stays bounded."""
        if not self.knows(key):
            return
        if self.liveness(key) is not Liveness.ALIVE:
            self._changed(key[0])
        self._awaited_since.pop(key, None)
        self._silent.discard(key)
        self._heard_at[key] = self._clock()
        self._heard_at.move_to_end(key)
        self._loads[key] = load

    def sweep(self) -> None:
        """Note who fell silent since the last sweep, so that whoever counts changes is told."""
        deadline = self._clock() - self._ttl_s
        for since in (self._heard_at, self._awaited_since):
            while since and next(iter(since.values())) < deadline:
                key, _ = since.popitem(last=False)
                self._silent.add(key)
                self._changed(key[0])

    @property
    def silent(self) -> frozenset[AgentKey]:
        """Who was dead at the last sweep."""
        return frozenset(self._silent)

    def liveness(self, key: AgentKey) -> Liveness:
        """What is known of the agent now."""
        deadline = self._clock() - self._ttl_s
        if self._heard_at.get(key, float("-inf")) >= deadline:
            return Liveness.ALIVE
        if self._awaited_since.get(key, float("-inf")) >= deadline:
            return Liveness.UNKNOWN
        return Liveness.DEAD

    def load(self, key: AgentKey) -> float:
        """The load last reported, 0.0 when none was."""
        return self._loads.get(key, 0.0)
