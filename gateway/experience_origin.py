"""Whose experience a data folder holds: the bus that it was recorded from, noted by the evolution role.

Read by commands whose guards measure on that experience: two stacks on one machine have two of both, and AOS_NATS_URL
and AOS_DATA_DIR are set apart.
"""

import logging
import os
import socket
from contextlib import suppress

from evolution.claiming import Place
from gateway.settings import Settings
from schemas.base import new_id

logger = logging.getLogger(__name__)

FILE_NAME = "bus"
STORE_FILE = "store"
LONGEST_ID = 200


def note_bus(settings: Settings, bus_id: str) -> None:
    """Say beside the embedded store from which bus it is recorded; a folder that cannot be written is only logged."""
    if settings.influx.url is not None or not bus_id or recorded_from(settings) == bus_id:
        return
    folder = settings.experience_file.parent
    partial = folder / f"{FILE_NAME}.{new_id()}.partial"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        partial.write_text(bus_id)
        os.replace(partial, folder / FILE_NAME)
    except OSError as error:
        logger.warning("commands cannot know whose experience %s is: %s", folder, error)


def recorded_from(settings: Settings) -> str:
    """The identity of the bus; empty where nobody noted it, and for a store that is no file."""
    if settings.influx.url is not None:
        return ""
    try:
        return (settings.experience_file.parent / FILE_NAME).read_text(errors="replace")[:LONGEST_ID].strip()
    except OSError:
        return ""


def place_of(settings: Settings) -> Place | None:
    """Which store this is, for all who keep it: the folder says its name itself, whatever path leads to it.

    None where the folder cannot be written: then nothing can be recorded there either, and the store says so.
    """
    if settings.influx.url is not None:
        return Place("influx", "InfluxDB")  # a server may have several addresses
    file = settings.experience_file.parent / STORE_FILE
    partial = file.with_name(f"{STORE_FILE}.{new_id()}.partial")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(new_id())
        with suppress(FileExistsError):  # of several that start at once, the first one names it
            os.link(partial, file)
        store_id = file.read_text(errors="replace")[:LONGEST_ID].strip()
    except OSError as error:
        logger.warning("nobody can know which store %s is: %s", file.parent, error)
        return None
    finally:
        partial.unlink(missing_ok=True)
    return Place(store_id, f"{socket.gethostname()}:{file.parent.absolute()}")
