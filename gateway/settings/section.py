"""What every section of the settings is made of. Imported by the sections."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

Port = Annotated[int, Field(ge=0, le=65535)]
URL_PATTERN = r"^[a-z][a-z0-9+]*://[^\s/]+.*$"
Url = Annotated[str, StringConstraints(pattern=URL_PATTERN)]
NatsUrls = Annotated[str, StringConstraints(pattern=r"^(nats|tls|ws|wss)://[^\s,]+(,(nats|tls|ws|wss)://[^\s,]+)*$")]
LogLevel = Literal["debug", "info", "warning", "error"]


def plain(variable: str) -> dict[str, Any]:
    """A field's environment variable of its own, beside the systematic one."""
    return {"variable": variable}


class Section(BaseModel):
    """Base of all sections: immutable, and a key nobody knows is an error rather than silence."""

    model_config = ConfigDict(frozen=True, extra="forbid")
