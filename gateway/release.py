"""Which release of the gateway this is. Asked by the command line, the HTTP door and whoever makes policies."""

from importlib.metadata import version


def release() -> str:
    """As in ``pyproject.toml``, of what is installed."""
    return version("aos-gateway")
