"""How many steps at once each agent takes from this worker, and whether it takes any. Called by ``steps``."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

from agents.errors import AgentUnreachable, BadReply, StepTimedOut
from agents.running.breaker import CircuitBreaker, Permit
from schemas.card import AgentCard

GATES_LIMIT = 4096

Sleep = Callable[[float], Awaitable[None]]


class Gate:
    """One agent's gate as its card says: a number of places, and a circuit breaker."""

    def __init__(self, card: AgentCard, breaker: CircuitBreaker, sleep: Sleep) -> None:
        self.card = card
        self.breaker = breaker
        self._sleep = sleep
        self._free = asyncio.Semaphore(card.concurrency)
        self._inside = 0

    @property
    def idle(self) -> bool:
        """Whether nobody is inside or waiting."""
        return self._inside == 0

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """One of the agent's places, first come, first served. Waits as long as the caller lets it."""
        self._inside += 1
        try:
            async with self._free:
                yield
        finally:
            self._inside -= 1

    async def permit(self, patience_s: float) -> Permit:
        """Leave to ask the agent. Raises AgentUnreachable when the circuit stays open longer than ``patience_s``."""
        while (permit := self.breaker.ask()) is None:
            pause_s = self.breaker.retry_after_s()
            if pause_s > patience_s:
                raise AgentUnreachable("it failed too often in a row and is being spared; try again later")
            patience_s -= pause_s
            await self._sleep(pause_s)
        return permit

    def wake(self) -> None:
        """Let everybody in who waits for a place: for callers that look, once inside, whether they are still wanted."""
        for _ in range(self._inside):
            self._free.release()

    @contextmanager
    def judged(self, permit: Permit) -> Iterator[None]:
        """What happens inside decides what the circuit breaker thinks of the agent."""
        try:
            yield
        except (StepTimedOut, AgentUnreachable, BadReply):
            self.breaker.failed(permit)
            raise
        except BaseException:
            self.breaker.abandoned(permit)
            raise
        self.breaker.succeeded(permit)


class Gates:
    """The gates of all agents that this worker asks. Those idle for longest are dropped past ``limit``."""

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Sleep = asyncio.sleep,
        limit: int = GATES_LIMIT,
    ) -> None:
        self._clock = clock
        self._sleep = sleep
        self._limit = limit
        self._gates: OrderedDict[tuple[str, str], Gate] = OrderedDict()

    def of(self, card: AgentCard) -> Gate:
        """The agent's gate. A card with a new concurrency gets new places and keeps its circuit.

        A corrected one, of a new version or endpoint, begins with a closed circuit: it is another that failed.
        """
        key = (card.tenant, card.id)
        gate = self._gates.get(key)
        same = gate is not None and (gate.card.version, gate.card.endpoint) == (card.version, card.endpoint)
        if gate is None or not same or gate.card.concurrency != card.concurrency:
            breaker = gate.breaker if gate and same else CircuitBreaker(self._clock)
            gate = self._gates[key] = Gate(card, breaker, self._sleep)
            self._drop_idle()
        self._gates.move_to_end(key)
        return gate

    def wake(self) -> None:
        """As each gate's ``wake``."""
        for gate in self._gates.values():
            gate.wake()

    def _drop_idle(self) -> None:
        surplus = len(self._gates) - self._limit
        if surplus > 0:
            idle = [key for key, gate in self._gates.items() if gate.idle]
            for key in idle[:surplus]:
                del self._gates[key]
