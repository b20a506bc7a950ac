"""How errors of this layer and the tensor layer are told to whoever asked. Used by the bus services and the doors."""

from collections.abc import Mapping
from dataclasses import dataclass

from agents.errors import AgentsError, FilterContradiction
from tensor_layer.errors import (
    BlobStoreUnavailable,
    DeviceFull,
    EncoderUnavailable,
    TensorLayerError,
    UnreadablePart,
)


@dataclass(frozen=True, slots=True)
class Answer:
    """A status of HTTP, what to do next, and after how many seconds to ask again."""

    status: int
    next_step: str = ""
    retry_after_s: int | None = None


Answers = Mapping[type[Exception], Answer]

ANSWERS: Answers = {
    FilterContradiction: Answer(422, "leave one of the filters out"),
    UnreadablePart: Answer(422, "send content that can be read"),
    BlobStoreUnavailable: Answer(503, "the object store does not answer; try again", 2),
    EncoderUnavailable: Answer(503, "start an encoder with `aos serve --role perception`, or see its log", 2),
    DeviceFull: Answer(503, "send smaller content, or less at a time", 2),
    AgentsError: Answer(500, "see the worker's log"),
    TensorLayerError: Answer(500, "see the worker's log"),
}
_AGAIN = Answer(503, "ask again; if it stays, see the worker's log", 1)


def answer_to(error: AgentsError | TensorLayerError, answers: Answers = ANSWERS) -> Answer:
    """That of its nearest class; what may be tried again and has none of its own is a 503."""
    nearest = next(kind for kind in type(error).__mro__ if kind in answers)
    if nearest is AgentsError and isinstance(error, AgentsError) and error.retryable:
        return _AGAIN
    return answers[nearest]
