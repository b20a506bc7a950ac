"""Which bus a command speaks to: said where something was changed, and compared with the gateway's. Used by ``bus_of``.

The gateway (AOS_URL) and the bus (AOS_NATS_URL) are set apart. Who runs two stacks and sets only one of the two must
not change the other stack: a command that changes something is refused then, one that reads warns.
"""

import asyncio
import sys
from urllib.parse import urlsplit, urlunsplit

import nats.errors
from nats.js import JetStreamContext

from gateway.bus.identity import identity_of
from gateway.cli.terminal.failure import Failed
from gateway.settings import Settings

LOOK_FOR_S = 2.0


def without_password(urls: str) -> str:
    """The addresses as people may read them over a shoulder: a name and password in them are left out."""
    return ",".join(_bare(url) for url in urls.split(","))


def place(settings: Settings) -> str:
    """The bus and the tenant that a command means."""
    return f"{without_password(settings.nats_url)}, tenant {settings.tenant}"


def say_changed(settings: Settings) -> None:
    """For people on standard error, so that what scripts read stays as it is."""
    sys.stderr.write(f"changed on the bus {place(settings)}\n")


async def compare(settings: Settings, js: JetStreamContext, *, changes: bool) -> None:
    """Whether the gateway that is set runs on this very bus. Raises Failed when it does not and ``changes``.

    Nothing is compared when only the bus was chosen, and nothing said of a gateway that does not answer.
    """
    if settings.bus.url is not None and settings.url is None:
        return
    theirs, ours = await asyncio.gather(gateways_bus(settings.gateway_url), our_bus(js))
    if not theirs or ours is None or theirs == ours:
        return
    title = f"the gateway at {settings.gateway_url} is on another bus than {without_password(settings.nats_url)}"
    if not changes:
        sys.stderr.write(f"! {title}; this is about the latter\n")
        return
    raise Failed(
        title,
        code="another_bus",
        detail="nothing was changed",
        next_step="set AOS_NATS_URL to the bus you mean, and AOS_URL to its gateway or to nothing; `aos up` names both",
    )


async def gateways_bus(url: str) -> str | None:
    """The identity of the gateway's bus; empty when it does not tell, None when nobody answers as a gateway does."""
    import httpx  # lazy: 0.1 s that commands which need not compare do not pay

    try:
        async with httpx.AsyncClient(timeout=LOOK_FOR_S, trust_env=False) as client:
            answer = await client.get(f"{url.rstrip('/')}/readyz")
        told = answer.json().get("bus_id", "")
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, AttributeError):
        return None
    return told if isinstance(told, str) else ""


async def our_bus(js: JetStreamContext) -> str | None:
    """The identity of the bus that we are on; None when these credentials may not ask."""
    try:
        async with asyncio.timeout(LOOK_FOR_S):
            return await identity_of(js)
    except (nats.errors.Error, OSError):
        return None


def _bare(url: str) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
