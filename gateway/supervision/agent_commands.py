"""Agents that say how to start them: a card's ``command`` as a process to supervise. Called by ``aos up``."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from gateway.supervision.child import ChildSpec
from schemas.card import AgentCard, HttpEndpoint, NatsEndpoint, OpenAIEndpoint, PythonEndpoint

AGENT_PREFIX = "agent-"


def command_of(
    card: AgentCard, folder: Path, environ: Mapping[str, str], *, nats_url: str, gateway_url: str, stage: int = 0
) -> ChildSpec | None:
    """The process that serves this card, run in the card's folder; None when the agent is started by somebody else."""
    endpoint = card.endpoint
    if isinstance(endpoint, PythonEndpoint) or not endpoint.command:
        return None
    told = {
        "AOS_NATS_URL": nats_url,
        "AOS_TENANT": card.tenant,
        "AOS_AGENT_ID": card.id,
        "AOS_GATEWAY_URL": gateway_url,
        **_port(endpoint),
    }
    return ChildSpec(
        name=name_of(card),
        argv=_program(endpoint.command, folder.absolute()),
        stage=stage,
        cwd=folder.absolute(),
        env={**environ, **told, "PATH": _path(environ), "PYTHONUNBUFFERED": "1"},
    )


def name_of(card: AgentCard) -> str:
    """What the supervisor calls the card's process."""
    return f"{AGENT_PREFIX}{card.tenant}-{card.id}"


def _port(endpoint: NatsEndpoint | HttpEndpoint | OpenAIEndpoint) -> dict[str, str]:
    if isinstance(endpoint, NatsEndpoint):
        return {}
    url = urlsplit(str(endpoint.url if isinstance(endpoint, HttpEndpoint) else endpoint.base_url))
    return {"PORT": str(url.port or (443 if url.scheme == "https" else 80))}


def _program(command: tuple[str, ...], folder: Path) -> tuple[str, ...]:
    """``python`` means the interpreter that runs the gateway; a program beside the card may be named without ``./``."""
    program, *arguments = command
    if program in ("python", "python3"):
        program = sys.executable
    elif "/" not in program and os.access(folder / program, os.X_OK):
        program = str(folder / program)
    return (program, *arguments)


def _path(environ: Mapping[str, str]) -> str:
    """Tools installed beside the interpreter come first."""
    return os.pathsep.join((str(Path(sys.executable).parent), environ.get("PATH", os.defpath)))
