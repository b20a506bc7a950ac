"""Runs one role in this process until it is told to stop. Called by ``aos serve``."""

import asyncio
import gc
import importlib
import logging
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from enum import StrEnum
from pathlib import Path

import uvloop

from gateway.foundation import StoppedWaiting
from gateway.log_lines import configure_logging
from gateway.settings import Settings

logger = logging.getLogger(__name__)

Run = Callable[[Settings, asyncio.Event], Awaitable[None]]

GC_THRESHOLDS = (50_000, 50, 100)
"""Measured on the HTTP door: with the default thresholds collections make the 99th percentile four times longer."""

SWITCH_INTERVAL_S = 0.001
"""How long a thread that computes may keep the interpreter from the event loop, each time the loop has something to do.

A task wakes the loop about eight times: with the default of 5 ms it may wait 40 ms while a policy is taken over beside
it. Measured with a thread that computes a fifth of the time: the 95th percentile halves.
"""

NATIVE_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
"""One thread for each process's linear algebra, unless somebody says otherwise: its matrices are small, and the waiting
threads of several processes spin on the cores that the others need (measured: 370 tasks/s instead of 260 on two cores).
Encoders set the number of torch's threads themselves.
"""

SIGN_OF_LIFE_EVERY_S = 5.0


class Role(StrEnum):
    """What a process can be."""

    GATEWAY = "gateway"
    AGENTS = "agents"
    EVOLUTION = "evolution"
    PERCEPTION = "perception"


def run_role(role: Role, settings: Settings) -> None:
    """Play the role until SIGTERM or SIGINT, drain, and end the process. A second signal ends it at once.

    Raises KeyboardInterrupt for that one, and what the role raises when it cannot start: nats.errors.Error for a bus
    that refuses it, OSError for a port that is taken. A bus that does not answer is waited for.
    """
    configure_logging(role.value, settings.log_level)
    gc.set_threshold(*GC_THRESHOLDS)
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    for variable in NATIVE_THREADS:
        os.environ.setdefault(variable, "1")  # read when numpy is imported, which is below
    # Each role loads only what it needs: the HTTP door never loads torch.
    run: Run = importlib.import_module(f"gateway.roles.{role.value}").run
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(until_stopped(run, settings, role))
        _leave()


def _leave() -> None:
    """End this process, whose work is done and stored, without waiting for threads that compute for nobody any more.

    A policy that is being learned or taken over holds up an orderly exit for as long as that takes, and tearing down
    torch and its kin takes seconds on a busy machine: past the drain, `aos up` would have to kill us.
    """
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


async def until_stopped(run: Run, settings: Settings, role: Role) -> None:
    """Run with signals wired to ``stop``: the first drains, the second interrupts."""
    stop = asyncio.Event()
    work = asyncio.ensure_future(run(settings, stop))

    def heed(number: int) -> None:
        if stop.is_set():
            work.cancel()
        else:
            logger.info("%s drains after %s", role, signal.Signals(number).name)
            stop.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, heed, number)
    signs = asyncio.create_task(show_life(settings.alive_file)) if settings.alive_file else None
    try:
        await work
    except StoppedWaiting:
        logger.info("%s stops; the bus at no time answered", role)
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None
    finally:
        if signs is not None:
            signs.cancel()


async def show_life(file: Path) -> None:
    """Touch the file for as long as this event loop turns: a stuck process shows no life."""
    while True:
        await asyncio.to_thread(file.touch)
        await asyncio.sleep(SIGN_OF_LIFE_EVERY_S)
