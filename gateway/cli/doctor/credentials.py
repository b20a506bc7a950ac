"""Whether services over HTTP let us in with the keys that are set: one harmless question each. Asked by ``checkup``."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from urllib.parse import urlencode

from gateway.cli.bus.which import without_password
from gateway.cli.doctor.findings import Finding, Verdict
from gateway.settings.stores import Index, Influx

ANSWER_TIMEOUT_S = 10.0
SAID_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class Door:
    """A question that only those with a right key get answered. ``key`` is the variable that sets it."""

    name: str
    url: str
    question: str
    key: str
    has_key: bool
    headers: Mapping[str, str]
    remedies: Mapping[int, str] = field(default_factory=dict)
    """What else a status means for this service, and what to do."""


def influx_door(influx: Influx) -> Door | None:
    """The organisation's buckets: InfluxDB answers 401 to a wrong token, 404 to an organisation it does not know."""
    if influx.url is None:
        return None
    token = influx.token.get_secret_value() if influx.token else ""
    remedies: dict[int, str] = {404: f"correct AOS_INFLUX_ORG ({influx.org}), or use a token of that organisation"}
    return Door(
        name="influxdb",
        url=influx.url,
        question="/api/v2/buckets?" + urlencode({"org": influx.org, "limit": 1}),
        key="AOS_INFLUX_TOKEN",
        has_key=bool(token),
        headers={"Authorization": f"Token {token}"} if token else {},
        remedies=remedies,
    )


def qdrant_door(index: Index) -> Door | None:
    """The collections' names: Qdrant answers 401 or 403 without the right key."""
    if index.url is None:
        return None
    key = index.api_key.get_secret_value() if index.api_key else ""
    headers = {"api-key": key} if key else {}
    return Door("qdrant", index.url, "/collections", "AOS_QDRANT_API_KEY", bool(key), headers)


async def admitted(door: Door) -> Finding:
    """Whether the service answers our question; its own words when it does not."""
    import httpx  # lazy: 0.1 s that a doctor without such services does not pay

    shown = without_password(door.url)
    try:
        async with httpx.AsyncClient(timeout=ANSWER_TIMEOUT_S, trust_env=False) as client:
            answer = await client.get(door.url.rstrip("/") + door.question, headers=dict(door.headers))
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        found = f"{shown} takes connections, but gives no answer over HTTP: {str(error) or type(error).__name__}"
        return Finding(door.name, Verdict.MISSING, found, f"is this a {door.name} server? Correct its URL")
    if answer.is_success:
        return Finding(door.name, Verdict.OK, shown)
    said = " ".join(answer.text.split())[:SAID_CHARACTERS]
    found = f"{shown} answers {answer.status_code}: {said or answer.reason_phrase}"
    if answer.status_code in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        remedy = f"correct {door.key}" if door.has_key else f"set {door.key}"
        return Finding(door.name, Verdict.MISSING, found, f"{remedy}: it does not let us in")
    remedy = door.remedies.get(answer.status_code, "look into its own log, and check that the URL is right")
    return Finding(door.name, Verdict.MISSING, found, remedy)
