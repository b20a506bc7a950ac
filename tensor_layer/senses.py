"""What an encoder makes of a picture or sound, and whether it may count in the task vector. Called by `perception`."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from schemas.parts import Part
from schemas.percept import EncoderVersion, PartPercept
from tensor_layer.encoding.versions import space_of, space_of_card
from tensor_layer.errors import DeviceFull, EncoderUnavailable, UnreadablePart
from tensor_layer.ports import Discerned, DiscerningPartEncoder, PartEncoder, Vector

FAMILIAR_MIN = 0.05
"""Below it a content is taken for something that its encoder was never taught: hardly anything that it was taught lies
as far out. Its vector is left out, for what an encoder says of strangers means nothing.
"""

NOT_ALIGNED = "a vector in the text encoder's space"


@dataclass(frozen=True, slots=True)
class Sense:
    """What an encoder made of a picture or a sound: a vector, or why there is none."""

    version: EncoderVersion | None = None
    vector: Vector | None = None
    aligned: bool = False
    problem: str | None = None
    familiarity: float | None = None

    @property
    def unfamiliar(self) -> bool:
        """Whether the encoder does not know such contents."""
        return unfamiliar(self.familiarity)

    @property
    def counting(self) -> Vector | None:
        """The vector, when it may take part in the task vector."""
        return self.vector if self.aligned and not self.unfamiliar else None


def unfamiliar(familiarity: float | None) -> bool:
    """Whether a content is taken for something that its encoder was never taught. None: the encoder cannot tell."""
    return familiarity is not None and familiarity < FAMILIAR_MIN


async def sensed(encoder: PartEncoder, part: Part, texts: EncoderVersion) -> Sense:
    """Ask the encoder. ``texts`` made the vectors that this one would be fused with."""
    try:
        one = (await _discerned(encoder, [part]))[0]
    except (EncoderUnavailable, DeviceFull, UnreadablePart) as error:
        # The task can still be routed by its words; the percept says what is missing and why.
        return Sense(problem=error.problem if isinstance(error, UnreadablePart) else str(error))
    aligned = space_of_card(encoder.card) == space_of(texts)
    return Sense(encoder.card.version, one.vector, aligned, familiarity=one.familiarity)


def told(percept: PartPercept, sense: Sense) -> PartPercept:
    """The percept with what the encoder made of the part."""
    if sense.version is None:
        return percept.model_copy(update={"facts": percept.facts | {"not_encoded": sense.problem}})
    update: dict[str, Any] = {"lacks": () if sense.aligned else (NOT_ALIGNED,)}
    facts = dict(percept.facts)
    if sense.familiarity is not None:
        facts["familiarity"] = round(sense.familiarity, 3)
    if sense.unfamiliar:
        facts["not_counted"] = f"unlike what {sense.version.name} was trained on: its vector is left out"
    else:
        update["encoded_by"] = sense.version
    return percept.model_copy(update=update | {"facts": facts})


async def _discerned(encoder: PartEncoder, parts: Sequence[Part]) -> Sequence[Discerned]:
    if isinstance(encoder, DiscerningPartEncoder):
        return await encoder.discern(parts)
    return [Discerned(vector, None) for vector in await encoder.encode(parts)]
