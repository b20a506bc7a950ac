"""The experience store, as commands read it. Every failure becomes Failed."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from evolution.errors import EvolutionError, ExperienceStoreUnavailable, StoreMissing
from evolution.ports import ExperienceStore
from evolution.wiring import build_store
from gateway.cli.terminal.evolution_failure import failed
from gateway.cli.terminal.failure import ExitCode, Failed
from gateway.experience_store import store_settings
from gateway.settings import Settings

_WHERE = "run this where the gateway keeps its data: --data of `aos up`, AOS_DATA_DIR, or AOS_INFLUX_URL"


def where(error: EvolutionError) -> str:
    """The next step when no store was found; other errors say theirs themselves."""
    return _WHERE if isinstance(error, StoreMissing) else ""


@asynccontextmanager
async def stored(settings: Settings) -> AsyncIterator[ExperienceStore]:
    """The experience store, for reading."""
    store = build_store(store_settings(settings, read_only=True))
    try:
        yield store
    except ExperienceStoreUnavailable as error:
        raise Failed(
            str(error),
            exit_code=ExitCode.UNREACHABLE,
            code=error.code,
            next_step=where(error),
        ) from error
    except EvolutionError as error:
        raise failed(error) from error
    finally:
        await store.close()
