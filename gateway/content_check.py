"""Looks into attachments before a task is accepted, so that a client hears at once of a file that nobody can read.

Called by admission. Workers look again whatever the door says: on the bus there is no door, and what is larger than
``limit_bytes`` is not fetched here.
"""

from collections.abc import Sequence

from schemas.parts import Part
from tensor_layer.inspection.inspector import PartInspector
from tensor_layer.ports import Blobs


class ContentCheck:
    """Decodes small attachments in threads, a bounded number at a time."""

    def __init__(self, blobs: Blobs, *, limit_bytes: int) -> None:
        self._inspector = PartInspector(blobs)
        self._limit_bytes = limit_bytes

    async def check(self, parts: Sequence[Part]) -> None:
        """Raises UnreadablePart for the first that is damaged, empty, locked or not what it says, and blob errors."""
        for index, part in enumerate(parts):
            if self._is_worth_a_look(part):
                await self._inspector.inspect(index, part)

    def _is_worth_a_look(self, part: Part) -> bool:
        if part.ref is not None:
            return part.ref.size_bytes <= self._limit_bytes
        return part.data is not None and len(part.data) // 4 * 3 <= self._limit_bytes
