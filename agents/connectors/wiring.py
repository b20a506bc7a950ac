"""Builds the connectors of a worker from plain arguments. Called by `agents.wiring`."""

import os
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from nats.aio.client import Client

from agents.connectors.directory import ConnectorDirectory, Deferred
from agents.connectors.http_agent import HttpConnector
from agents.connectors.nats_agent import NatsConnector
from agents.connectors.python_agent import CHILDREN, PythonConnector
from agents.ports.connectors import Connector
from schemas.parts import BlobRef
from tensor_layer.ports import Blobs


def connectors(
    nc: Client,
    blobs: Blobs,
    *,
    python_folders: Sequence[Path],
    python_packages: Sequence[str],
    gateway_url: str | None,
    python_children: int = CHILDREN,
) -> ConnectorDirectory:
    """All kinds. Python cards may name files in these folders and modules of these packages, and nothing else.

    ``gateway_url`` is where remote agents fetch content that travels by reference; ``python_children`` is how many
    Python agents have a process at once.
    """
    blob_url = partial(_blob_url, gateway_url.rstrip("/")) if gateway_url else None
    environment = dict(os.environ)
    return ConnectorDirectory(
        {
            "nats": NatsConnector(nc, blobs, blob_url=blob_url),
            "python": PythonConnector(
                blobs,
                python_folders,
                packages=python_packages,
                local_path=blobs.local_path,
                blob_url=blob_url,
                max_children=python_children,
            ),
            "http": HttpConnector(blobs, env=environment, blob_url=blob_url),
            "openai": Deferred(partial(_openai, blobs, environment)),
        }
    )


def _blob_url(gateway_url: str, ref: BlobRef) -> str:
    return f"{gateway_url}/v1/blobs/{ref.digest}"


def _openai(blobs: Blobs, environment: Mapping[str, str]) -> Connector:
    # The client's import costs a second of CPU: only a worker that meets such an agent pays it, and in a thread.
    from agents.connectors.openai_agent import OpenAIConnector

    return OpenAIConnector(blobs, env=environment)
