"""Cuts out of a text what must never be stored. Used by ``guard``."""

import re
from collections.abc import Sequence

REDACTED = "[redacted]"


class Redaction:
    """Regular expressions; what any of them matches becomes ``[redacted]``. Raises re.error for one that is none."""

    def __init__(self, patterns: Sequence[str] = ()) -> None:
        self._patterns = [re.compile(pattern) for pattern in patterns]

    def redacted(self, text: str) -> str:
        """The text without what matches."""
        for pattern in self._patterns:
            text = pattern.sub(REDACTED, text)
        return text
