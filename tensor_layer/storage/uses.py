"""When a content was last used: who keeps one that lies there already says so. Used by ``blobs`` and ``unused``.

In a local folder that is the file's own time. Elsewhere it cannot be changed, so an empty object beside the contents
says it, ``uses/<2 hex>/<64 hex>``.
"""

from datetime import datetime
from pathlib import Path

import obstore
from obstore.store import ObjectStore

from tensor_layer.storage.local_uploads import touch


async def note_use(store: ObjectStore, folder: Path | None, key: str) -> bool:
    """Whether the content is there; if so it counts as just stored. Raises as the store does.

    The use is noted before the second look: whoever removes contents puts them out of sight, and then looks for uses.
    """
    if folder is not None:
        return touch(folder / key)
    if await _modified(store, key) is None:
        return False
    await obstore.put_async(store, use_of(key), b"", use_multipart=False)
    return await _modified(store, key) is not None


async def last_use(store: ObjectStore, folder: Path | None, key: str, where: str) -> datetime | None:
    """Of the content that lies at ``where`` just now, out of sight; None where no use was noted."""
    return await _modified(store, where if folder is not None else use_of(key))


def use_of(key: str) -> str:
    """Where uses of the content with that key are noted."""
    return f"uses/{key.removeprefix('blobs/')}"


async def _modified(store: ObjectStore, key: str) -> datetime | None:
    try:
        return (await obstore.head_async(store, key))["last_modified"]
    except FileNotFoundError:
        return None
