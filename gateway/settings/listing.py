"""The settings as rows for people and scripts. Called by ``aos config show``."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from gateway.settings.loading import Loaded, fields, variables
from gateway.settings.sections import Settings

HIDDEN = "********"


@dataclass(frozen=True, slots=True)
class SettingRow:
    """One setting as people see it. Secrets are never shown."""

    name: str
    value: Any
    source: str
    variables: tuple[str, ...]
    description: str


def rows(loaded: Loaded) -> list[SettingRow]:
    """Every setting with its value, where it came from, its variables and what it is for."""
    return [
        SettingRow(
            name=".".join(where),
            value=_plain(_value(loaded.settings, where)),
            source=loaded.source(where),
            variables=variables(where, info),
            description=info.description or "",
        )
        for where, info in fields()
    ]


def _value(settings: Settings, where: tuple[str, ...]) -> object:
    value: object = settings
    for name in where:
        value = getattr(value, name)
    return value


def _plain(value: object) -> Any:  # noqa: ANN401 - JSON scalars
    if isinstance(value, SecretStr):
        return HIDDEN
    return str(value) if isinstance(value, Path) else value
