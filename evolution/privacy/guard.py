"""What a durable store does to task text and feedback on their way in and out. Called by the stores."""

from functools import partial

import orjson

from evolution.privacy.keys import KeyRing
from evolution.privacy.redaction import Redaction
from evolution.privacy.words import reworded
from schemas.experience import ExperienceRecord, Feedback


class Guard:
    """Redacts, then seals by the tenant's key; opens what is read. Without keys nothing is sealed."""

    def __init__(self, keys: KeyRing | None = None, redaction: Redaction | None = None) -> None:
        self._keys = keys
        self._redaction = redaction or Redaction()

    def sealed(self, record: ExperienceRecord) -> ExperienceRecord:
        """The record as it may be stored. Raises KeysUnusable."""
        return reworded(record, partial(self._out, record.tenant))

    def opened(self, record: ExperienceRecord) -> ExperienceRecord:
        """The record as it was, but for what was redacted. Raises KeysUnusable."""
        return reworded(record, partial(self._in, record.tenant))

    def sealed_feedback(self, feedback: Feedback) -> Feedback:
        """Feedback as it may be stored; its comment may be longer than the schema allows. Raises KeysUnusable."""
        text = self._out(feedback.tenant, feedback.comment)
        return feedback if text == feedback.comment else feedback.model_copy(update={"comment": text})

    def opened_feedback(self, body: str) -> Feedback:
        """The feedback in stored JSON. Raises ValueError for what is none, KeysUnusable."""
        match orjson.loads(body):
            case {"tenant": str(tenant), "comment": str(comment)} as values:
                return Feedback.model_validate({**values, "comment": self._in(tenant, comment)}, extra="ignore")
        raise ValueError("feedback is an object with a tenant and a comment")

    def _out(self, tenant: str, text: str) -> str:
        kept = self._redaction.redacted(text)
        return self._keys.seal(tenant, kept) if self._keys else kept

    def _in(self, tenant: str, text: str) -> str:
        return self._keys.open(tenant, text) if self._keys else text


OPEN = Guard()
"""Stores everything as it is."""
