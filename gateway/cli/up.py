"""``aos up``: everything on this machine with one command, and nothing left behind when it ends."""

import asyncio
import os
import shlex
import signal
from pathlib import Path
from typing import Annotated, Any

import typer

from agents.errors import CardInvalid
from gateway.cli.bus.which import without_password
from gateway.cli.terminal import session
from gateway.cli.terminal.failure import Failed
from gateway.errors import GatewayError, SettingsInvalid
from gateway.settings import Settings, load
from gateway.supervision.deployment import Deployment
from gateway.supervision.supervisor import ChildState, ChildStatus

app = typer.Typer(help="Start everything here.")

AGENTS_WAITED_FOR_S = 30.0


@app.command()
def up(
    agents: Annotated[
        Path | None, typer.Option("--agents", help="Folder of agent cards to register and watch.", file_okay=False)
    ] = None,
    data: Annotated[Path | None, typer.Option("--data", help="Folder for all data; default .aos.")] = None,
    port: Annotated[int | None, typer.Option("--port", help="Port of the HTTP door; 0 picks one.")] = None,
    host: Annotated[str | None, typer.Option("--host", help="Address of the HTTP door.")] = None,
    workers: Annotated[int | None, typer.Option("--workers", help="Worker processes.", min=1)] = None,
    tenant: session.Tenant = None,
) -> None:
    """Start bus, gateway, workers, learning and agents; restart what crashes. Ctrl-C drains and stops all of it."""
    options = {
        "agents.cards_dir": agents,
        "data_dir": data,
        "http.port": port,
        "http.host": host,
        "agents.workers": workers,
        "tenant": tenant,
    }
    settings = session.settings_from(options).settings
    session.warn_of_misspelt_variables()
    try:
        session.run(run_up(settings))
    except GatewayError as error:
        title, _, rest = str(error).partition("\n")
        raise Failed(title, code=error.code, detail=rest) from error


async def run_up(settings: Settings) -> None:
    """Start, say where everything is, and keep it running until SIGTERM or Ctrl-C; a second one kills."""
    deployment = Deployment(settings, os.environ, on_change=_say, on_refused=_refuse, on_moved=session.print_line)
    stop = asyncio.Event()
    _heed_signals(stop, deployment)
    session.print_line(f"starting; logs: {deployment.logs_dir}")
    try:
        if await _started(deployment, stop):
            for line in _welcome(settings, deployment):
                session.print_line(line)
            await stop.wait()
            session.print_line("draining; Ctrl-C again kills")
    finally:
        await deployment.stop()


def _heed_signals(stop: asyncio.Event, deployment: Deployment) -> None:
    def heed() -> None:
        if stop.is_set():
            deployment.supervisor.kill()
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, heed)


async def _started(deployment: Deployment, stop: asyncio.Event) -> bool:
    """Whether everything is up before somebody wanted to stop. Raises ServerDidNotStart."""
    await deployment.start()
    ready = asyncio.create_task(_until_usable(deployment))
    stopping = asyncio.create_task(stop.wait())
    both: tuple[asyncio.Task[Any], ...] = (ready, stopping)
    await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if not ready.done():
        ready.cancel()
        return False
    await ready
    return True


async def _until_usable(deployment: Deployment) -> None:
    """Until the first task would find its agents; those that stay silent are named and not waited for."""
    await deployment.until_ready()
    silent = await deployment.silent_agents(AGENTS_WAITED_FOR_S)
    if silent:
        session.print_line(f"no sign of life yet from: {', '.join(silent)}   (aos agents list)")


def _say(status: ChildStatus) -> None:
    """One line for each change that people care about; orderly starts and stops are silent."""
    if status.state is ChildState.RUNNING and status.restarts:
        session.print_line(f"{status.name}: running again (pid {status.pid})")
    elif status.state is ChildState.WAITING:
        session.print_line(f"{status.name}: ended with {status.last_exit}, is restarted; log: {status.log}")
    elif status.state is ChildState.GIVEN_UP:
        session.print_line(f"{status.name}: crashes again and again, given up; log: {status.log}")


def _refuse(refusal: CardInvalid) -> None:
    session.print_line(f"card refused: {refusal}")


def _welcome(settings: Settings, deployment: Deployment) -> list[str]:
    elsewhere = _elsewhere(settings, deployment)
    return [
        f"gateway   {deployment.gateway_url}   (API: {deployment.gateway_url}/docs)",
        f"bus       {without_password(deployment.nats_url)}",
        f"data      {settings.data_dir}",
        "",
        *([f"first     export {' '.join(elsewhere)}", ""] if elsewhere else []),
        'try       aos task submit "What is 12% of 85?" --wait',
        "          aos agents list",
        "stop      Ctrl-C",
    ]


def _elsewhere(settings: Settings, deployment: Deployment) -> list[str]:
    """What commands in another terminal must be told, because they would not find it by themselves."""
    try:
        usual = load({}).settings  # what a terminal without our environment and options reads in this folder
    except SettingsInvalid:
        usual = Settings()
    wanted = {
        "AOS_URL": (deployment.gateway_url, usual.gateway_url),
        "AOS_NATS_URL": (without_password(deployment.nats_url), usual.nats_url),
        "AOS_DATA_DIR": (str(settings.data_dir.absolute()), str(usual.data_dir.absolute())),
    }
    return [f"{name}={shlex.quote(here)}" for name, (here, there) in wanted.items() if here != there]
