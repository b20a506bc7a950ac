"""The whole stack on this machine: bus, roles and agents as supervised processes. Used by ``aos up`` and the demo."""

import asyncio
import logging
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from nats.aio.client import Client

from agents.errors import CardInvalid
from agents.registry.card_files import LoadedCard
from agents.registry.kv_registry import KvRegistry
from gateway.bus.connection import connect
from gateway.bus.ensuring import ensure
from gateway.embedded.nats_server import TIMER_SLACK_US, NatsServer, free_port
from gateway.errors import ServerDidNotStart
from gateway.foundation import JETSTREAM_TIMEOUT_S, quotas_of
from gateway.settings import Settings
from gateway.supervision.agent_commands import AGENT_PREFIX, command_of
from gateway.supervision.agent_folder import AgentFolder
from gateway.supervision.child import ChildSpec
from gateway.supervision.data_folder import owned
from gateway.supervision.logs import tail
from gateway.supervision.looking import is_free, listens, looking_at
from gateway.supervision.restarts import RestartPolicy
from gateway.supervision.supervisor import ChildState, ChildStatus, Supervisor

BUS_STAGE, EVOLUTION_STAGE, AGENT_STAGE, WORKER_STAGE, DOOR_STAGE = range(5)
"""Stopped from the last to the first: no new work comes in, work in hand is finished, its record is kept."""

logger = logging.getLogger(__name__)

BUS = "nats-server"
ASK_AGAIN_S = 0.1


class Deployment:
    """Starts everything, keeps it running, stops it in order. One for each data folder, on the main thread."""

    def __init__(
        self,
        settings: Settings,
        environ: Mapping[str, str],
        on_change: Callable[[ChildStatus], None] | None = None,
        on_refused: Callable[[CardInvalid], None] | None = None,
        on_moved: Callable[[str], None] = logger.warning,
    ) -> None:
        self._settings = settings
        self._data_dir = settings.data_dir.absolute()
        self._environ = environ
        self._held = ExitStack()
        self.logs_dir = self._data_dir / "logs"
        self.supervisor = Supervisor(
            self.logs_dir,
            policy_of(settings),
            drain_s=settings.supervision.drain_s,
            log_limit_bytes=settings.supervision.log_mib * 1024 * 1024,
            on_change=on_change,
        )
        self._on_refused = on_refused or _log_refusal
        self._on_moved = on_moved
        self._bus: Client | None = None
        self._folder: AgentFolder | None = None
        self._following: asyncio.Task[None] | None = None
        self.nats_url = settings.bus.url or ""
        self.http_port = settings.http.port

    @property
    def gateway_url(self) -> str:
        """Where clients on this machine reach the HTTP door."""
        host = self._settings.http.host
        return f"http://{'127.0.0.1' if host in ('0.0.0.0', '::') else host}:{self.http_port}"  # noqa: S104

    async def start(self) -> None:
        """Start bus, agents and roles. Raises ServerDidNotStart; call ``stop`` then, too."""
        self._held.enter_context(owned(self._data_dir))
        self.http_port = _door_port(self._settings)
        _check_cards(self._settings.agents.cards_dir)
        if self._settings.bus.url is None:
            await self._start_bus()
        # Cards before workers: a worker begins with a full view of the agents that are there when it starts.
        if self._settings.agents.cards_dir is not None:
            await self._follow(self._settings.agents.cards_dir)
        for spec in self._role_specs():
            await self.supervisor.add(spec)

    async def until_ready(self, timeout_s: float = 120.0) -> None:
        """Wait until the door is open and a worker takes tasks. Raises ServerDidNotStart."""
        deadline = time.monotonic() + timeout_s
        async with looking_at(self.gateway_url) as door:
            while not await door.is_ready():
                self._complain_about_the_given_up()
                if time.monotonic() > deadline:
                    raise ServerDidNotStart(f"not ready after {timeout_s:.0f} s; see the logs in {self.logs_dir}")
                await asyncio.sleep(ASK_AGAIN_S)

    async def silent_agents(self, timeout_s: float = 60.0) -> list[str]:
        """Wait until the folder's agents have shown life, at most so long; those that have not."""
        deadline = time.monotonic() + timeout_s
        async with looking_at(self.gateway_url) as door:
            while True:
                cards = [loaded.card for loaded in self._folder.loaded.cards] if self._folder else []
                silent = await door.silent_among(cards)
                if not silent or time.monotonic() > deadline:
                    return sorted(silent)
                await asyncio.sleep(ASK_AGAIN_S)

    async def stop(self) -> None:
        """Drain and end everything, the bus last."""
        if self._following is not None:
            self._following.cancel()
            await asyncio.gather(self._following, return_exceptions=True)
        if self._bus is not None:
            await self._bus.close()
        await self.supervisor.stop()
        self._held.close()

    def role_environ(self) -> dict[str, str]:
        """What a role process started by hand needs to belong here."""
        cards_dir, credentials = self._settings.agents.cards_dir, self._settings.bus.credentials
        return {
            **self._environ,
            "AOS_NATS_URL": self.nats_url,
            "AOS_DATA_DIR": str(self._data_dir),
            "AOS_HTTP_HOST": self._settings.http.host,
            "AOS_HTTP_PORT": str(self.http_port),
            "AOS_GATEWAY_URL": self._settings.http.public_url or self.gateway_url,
            **({"AOS_AGENTS__CARDS_DIR": str(cards_dir.absolute())} if cards_dir else {}),
            # Agents run in their cards' folder, where a relative path would lead nowhere.
            **({"AOS_NATS_CREDENTIALS": str(credentials.absolute())} if credentials else {}),
        }

    async def _follow(self, folder: Path) -> None:
        """Register the folder's cards and start their commands, now and whenever they change."""
        self._bus = await connect(self.nats_url, "aos-up", credentials=self._settings.nats_credentials)
        js = self._bus.jetstream(timeout=JETSTREAM_TIMEOUT_S)
        await ensure(js, quotas_of(self._settings), self._bus.max_payload)
        memory = self._data_dir / "cards-registered.json"
        self._folder = AgentFolder(
            folder, KvRegistry(js), self.supervisor, self._agent_spec, self._on_refused, self._on_moved, memory
        )
        self._following = asyncio.create_task(self._folder.run(), name="follow the agent cards")
        await self._until_registered(self._folder, self._following)

    async def _until_registered(self, folder: AgentFolder, following: asyncio.Task[None]) -> None:
        """Raises ServerDidNotStart for a folder that cannot be read."""
        ready = asyncio.create_task(folder.ready.wait())
        both: tuple[asyncio.Task[Any], ...] = (ready, following)
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        ready.cancel()
        if following.done():
            raise ServerDidNotStart(f"the agent cards cannot be followed: {following.exception()}")

    def _agent_spec(self, loaded: LoadedCard) -> ChildSpec | None:
        return command_of(
            loaded.card,
            loaded.path.parent,
            self.role_environ(),
            nats_url=self.nats_url,
            gateway_url=self.gateway_url,
            stage=AGENT_STAGE,
        )

    def _role_specs(self) -> list[ChildSpec]:
        workers = [(f"worker-{number}", "agents", WORKER_STAGE) for number in range(self._settings.agents.workers)]
        roles = [("gateway", "gateway", DOOR_STAGE), ("evolution", "evolution", EVOLUTION_STAGE), *workers]
        return [self._role_spec(name, role, stage) for name, role, stage in roles]

    def _role_spec(self, name: str, role: str, stage: int) -> ChildSpec:
        # -P: a file or folder named `agents` or `schemas` where somebody calls `aos up` is none of our packages.
        argv = (sys.executable, "-P", "-m", "gateway.cli.main", "serve", "--role", role)
        return ChildSpec(name, argv, stage, env=self.role_environ())

    async def _start_bus(self) -> None:
        bus = self._settings.bus
        port = bus.embedded_port if bus.embedded_port and is_free("127.0.0.1", bus.embedded_port) else free_port()
        server = NatsServer(
            self._data_dir / "nats",
            port=port,
            sync_interval=bus.embedded_sync,
            max_file_store=f"{bus.embedded_store_gib}GB",
        )
        self.nats_url = server.url
        command = await asyncio.to_thread(server.prepare)
        spec = ChildSpec(BUS, command, BUS_STAGE, env=dict(self._environ), timer_slack_us=TIMER_SLACK_US)
        await self.supervisor.add(spec)
        await self._until_listening(port)

    async def _until_listening(self, port: int, timeout_s: float = 60.0) -> None:
        """Wait for the bus: after a crash it first reads its files again, which takes a while when they are large."""
        deadline = time.monotonic() + timeout_s
        while not await listens("127.0.0.1", port):
            self._complain_about_the_given_up()
            if time.monotonic() > deadline:
                raise ServerDidNotStart(f"nats-server does not answer:\n{tail(self.supervisor.status(BUS).log)}")
            await asyncio.sleep(ASK_AGAIN_S / 4)

    def _complain_about_the_given_up(self) -> None:
        for status in self.supervisor.statuses():
            if status.state is ChildState.GIVEN_UP and not status.name.startswith(AGENT_PREFIX):
                raise ServerDidNotStart(f"{status.name} does not stay up:\n{tail(status.log)}")


def _log_refusal(refusal: CardInvalid) -> None:
    logger.warning("%s", refusal)


def policy_of(settings: Settings) -> RestartPolicy:
    """How restarts are decided."""
    chosen = settings.supervision
    return RestartPolicy(chosen.backoff_s, chosen.backoff_max_s, chosen.crash_limit, chosen.crash_window_s)


def _check_cards(folder: Path | None) -> None:
    """Raises ServerDidNotStart, before anything is started, for a folder that is not there."""
    if folder is not None and not folder.is_dir():
        raise ServerDidNotStart(
            f"there is no folder {folder} of agent cards. Make it, or name another with --agents or AOS_AGENTS_DIR."
        )


def _door_port(settings: Settings) -> int:
    """The port to listen on. Raises ServerDidNotStart when somebody else listens there."""
    port = settings.http.port or free_port()
    if not is_free(settings.http.host, port):
        raise ServerDidNotStart(f"port {port} is taken. Choose another with --port, or set AOS_HTTP_PORT=0 for any.")
    return port
