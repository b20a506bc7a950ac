"""What all messages share: frozen, strict about unknown fields, and the identifiers they carry."""

import os
import re
import time
import uuid
from datetime import UTC, datetime
from typing import Annotated, Self

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

TOKEN_PATTERN = r"^[A-Za-z0-9_-]{1,64}$"  # noqa: S105 - a token of a subject, no secret
"""One NATS subject token: no dots, no wildcards, no spaces."""

TOKEN_CHARACTERS = 64
_LOW_62_BITS = (1 << 62) - 1
_TOKEN = re.compile(TOKEN_PATTERN)

_TASK_NAMESPACE = uuid.UUID("6f1d9c1e-3f0b-5c58-9a52-0c6e2f3a7a10")


class Message(BaseModel):
    """Base of every model here: immutable, unknown fields refused, change means ``model_copy``."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="null")

    @classmethod
    def from_peer(cls, body: bytes | str) -> Self:
        """The message in JSON that another process of a fleet wrote, or this one wrote earlier. Raises ValidationError.

        While a fleet is upgraded some processes are newer: fields that this version does not know are left out, at any
        depth. Whatever people write is read by ``model_validate_json`` instead: there an unknown field is a mistake.
        """
        return cls.model_validate_json(body, extra="ignore")


def _utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError:  # no ValueError, so pydantic would pass it on, and no reader expects it
        raise ValueError("in UTC it lies before the year 1 or after 9999") from None


Token = Annotated[str, StringConstraints(pattern=TOKEN_PATTERN)]
Moment = Annotated[AwareDatetime, AfterValidator(_utc)]
Share = Annotated[float, Field(ge=0.0, le=1.0)]
Price = Annotated[float, Field(ge=0.0, le=1e12)]
"""In the fleet's unit. Bounded, for JSON has no infinity: a sum of prices always reads again."""


def now() -> datetime:
    """The current moment in UTC."""
    return datetime.now(UTC)


def new_id() -> str:
    """A fresh identifier, 32 hex digits, sortable by time of creation (UUIDv7 layout, RFC 9562)."""
    milliseconds = time.time_ns() // 1_000_000
    chance = int.from_bytes(os.urandom(10))
    value = (milliseconds << 80) | (0x7 << 76) | ((chance >> 68) << 64) | (0b10 << 62) | (chance & _LOW_62_BITS)
    return f"{value:032x}"


def id_from_key(tenant: str, idempotency_key: str) -> str:
    """The task id that belongs to a client's idempotency key: the same key is the same task, for ever."""
    return uuid.uuid5(_TASK_NAMESPACE, f"{tenant}\x00{idempotency_key}").hex


def is_token(text: str) -> bool:
    """Whether ``text`` can stand as one token of a NATS subject."""
    plain = text.isalnum() and text.isascii() and len(text) <= TOKEN_CHARACTERS  # most are; a quarter of the time
    return plain or _TOKEN.fullmatch(text) is not None
