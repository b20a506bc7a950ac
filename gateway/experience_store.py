"""Where experience is kept, and how it is guarded, as the settings say. Called by the evolution role and by `aos`."""

from evolution.privacy.guard import Guard
from evolution.privacy.keys import KeyRing
from evolution.privacy.redaction import Redaction
from evolution.tiers.cold_files import ColdFiles
from evolution.wiring import StoreKind, StoreSettings
from gateway.foundation import object_store
from gateway.settings import Settings


def guard_of(settings: Settings) -> Guard:
    """What is done to task text and feedback before they are stored."""
    experience = settings.experience
    keys = KeyRing(experience.key_file) if experience.key_file else None
    return Guard(keys, Redaction(experience.redact))


def store_settings(settings: Settings, *, read_only: bool = False) -> StoreSettings:
    """InfluxDB when its URL is set, else the embedded file."""
    influx = settings.influx
    guard = guard_of(settings)
    if influx.url is None:
        return StoreSettings(
            kind=StoreKind.SQLITE,
            path=settings.experience_file,
            read_only=read_only,
            guard=guard,
            cold=ColdFiles(*object_store(settings)),
        )
    return StoreSettings(
        guard=guard,
        kind=StoreKind.INFLUX,
        url=influx.url,
        token=influx.token.get_secret_value() if influx.token else "",
        org=influx.org,
        retention_days=influx.retention_days,
        read_only=read_only,
    )
