"""Whether the experience that guards measure on is that of the bus whose policies they judge. Asked by ``opened``."""

from dataclasses import dataclass

from nats.js import JetStreamContext

from evolution.errors import ExperienceStoreUnavailable
from evolution.store.sqlite_schema import is_there
from gateway.cli.bus.which import our_bus, without_password
from gateway.experience_origin import recorded_from
from gateway.settings import Settings

NEXT_STEP = "run this where the evolution role of that bus keeps its data: AOS_DATA_DIR, or AOS_INFLUX_URL"


@dataclass(frozen=True, slots=True)
class Doubt:
    """What speaks against measuring on this experience; ``other`` when it certainly belongs to another bus."""

    says: str
    other: bool


async def doubt(settings: Settings, js: JetStreamContext) -> Doubt | None:
    """None where it is the right one, or nobody can tell: InfluxDB may be shared by any number of processes."""
    if settings.influx.url is not None:
        return None
    try:
        if not is_there(settings.experience_file):
            return Doubt(f"no experience is kept in {kept_in(settings)}", other=False)
    except ExperienceStoreUnavailable as error:
        return Doubt(str(error), other=False)
    theirs, ours = recorded_from(settings), await our_bus(js)
    if not theirs or not ours or theirs == ours:
        return None
    where = without_password(settings.nats_url)
    return Doubt(f"the experience in {kept_in(settings)} was recorded from another bus than {where}", other=True)


def kept_in(settings: Settings) -> str:
    """Which experience a command reads: two stacks on one machine have two, and AOS_NATS_URL does not choose it."""
    return without_password(settings.influx.url) if settings.influx.url else str(settings.experience_file.absolute())
