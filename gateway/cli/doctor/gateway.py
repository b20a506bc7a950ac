"""Whether the gateway that is set runs on the bus that is set. Asked by ``checkup``: commands use both."""

import nats.errors

from gateway.bus.identity import identity_of
from gateway.cli.bus.reach import reached
from gateway.cli.bus.which import gateways_bus, without_password
from gateway.cli.doctor.findings import Finding, Verdict
from gateway.settings import Settings

CONNECT_TIMEOUT_S = 3.0
NAME = "gateway"


async def gateway(settings: Settings) -> Finding:
    """Of one that answers: on the same bus as the commands that talk to the bus, or on another."""
    url, bus = without_password(settings.gateway_url), without_password(settings.nats_url)
    theirs = await gateways_bus(settings.gateway_url)
    if theirs is None:
        return _silent(settings, url)
    if not theirs:
        return Finding(
            NAME, Verdict.WARNING, f"{url} does not say on which bus it is", "look at its /readyz and its log"
        )
    ours = await _identity(settings)
    if ours is None:
        remedy = "set AOS_NATS_URL (and AOS_NATS_CREDENTIALS) to the bus of that gateway: aos policy and others need it"
        return Finding(NAME, Verdict.WARNING, f"{url} answers, but no bus does at {bus}", remedy)
    if ours != theirs:
        remedy = "set AOS_URL and AOS_NATS_URL to one and the same deployment: `aos up` names both"
        return Finding(NAME, Verdict.WARNING, f"{url} is on another bus than {bus}", remedy)
    return Finding(NAME, Verdict.OK, f"{url}, on the bus {bus}")


def _silent(settings: Settings, url: str) -> Finding:
    """One that was set has to be there; else `aos up` opens it whenever it is wanted."""
    if settings.url is None:
        return Finding(NAME, Verdict.OPTIONAL, f"none answers at {url}", "`aos up` starts one; AOS_URL names another")
    return Finding(NAME, Verdict.MISSING, f"no gateway answers at {url}", "start it, or correct AOS_URL")


async def _identity(settings: Settings) -> str | None:
    """Of the bus that commands talk to; None where none answers us."""
    try:
        client = await reached(settings, "aos-doctor", CONNECT_TIMEOUT_S)
    except (nats.errors.Error, OSError):
        return None
    try:
        return await identity_of(client.jetstream(timeout=CONNECT_TIMEOUT_S))
    except (nats.errors.Error, OSError):
        return None
    finally:
        await client.close()
