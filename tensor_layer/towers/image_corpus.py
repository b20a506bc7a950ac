"""Which pictures training sees and which are held out, as rendered corpora. Called by ``image_training``."""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np

from tensor_layer.towers.corpus import Corpus, Example, Recipe, Tell, rendered
from tensor_layer.towers.image_model import SIDE_PX, as_pixels
from tensor_layer.towers.pictures import (
    CONCEPTS,
    SIMPLE_KINDS,
    Described,
    composed_scene,
    digit_caption,
    handwritten_digit,
    simple,
    training_captions,
)
from tensor_layer.towers.scenes import split

DIGITS, DIGITS_FOR_TRAINING = 1797, 1437
"""scikit-learn's digits; the last fifth is held out."""
DRAWING_REVISION = 1
"""Raise it when a picture would be drawn differently, so that cached corpora are not taken for new ones."""


@dataclass(frozen=True, slots=True)
class PictureCounts:
    """How many pictures of each composition, how many digits, how many of each simple kind."""

    each_composition: int = 26
    digits: int = 3_600
    each_kind: int = 500


Maker = Callable[[np.random.Generator], Described]

HELD_OUT = PictureCounts(each_composition=6, digits=720, each_kind=100)


def training_pictures(folder: Path, counts: PictureCounts, seed: int, tell: Tell) -> Corpus:
    """Pictures of the compositions, digits and kinds that training may see. Labels: CONCEPTS, then caption number."""
    captions = training_captions()
    return _corpus("pictures", folder, captions, counts, seed, tell, held_out=False)


def held_out_pictures(folder: Path, counts: PictureCounts, seed: int, tell: Tell) -> Corpus:
    """Compositions never trained on, digits of other writers, new drawings of the simple kinds."""
    captions = [one.caption for one in split()[1]] + [digit_caption(digit) for digit in range(10)] + list(SIMPLE_KINDS)
    return _corpus("held-out-pictures", folder, captions, counts, seed, tell, held_out=True)


def _corpus(
    name: str, folder: Path, captions: list[str], counts: PictureCounts, seed: int, tell: Tell, *, held_out: bool
) -> Corpus:
    makers = _makers(counts, held_out=held_out)
    recipe = Recipe(
        name=name,
        examples=len(makers),
        shape=(SIDE_PX, SIDE_PX, 3),
        dtype="uint8",
        label_columns=len(CONCEPTS) + 1,
        captions=tuple(captions),
        facts={"counts": asdict(counts), "seed": seed, "held_out": held_out, "revision": DRAWING_REVISION},
    )
    numbers = {caption: number for number, caption in enumerate(captions)}

    def examples() -> Iterator[Example]:
        for row, make in enumerate(makers):
            described = make(np.random.default_rng((seed, int(held_out), row)))
            yield as_pixels(described.picture), (*described.labels, numbers[described.caption])

    return rendered(recipe, folder, examples, tell)


def _makers(counts: PictureCounts, *, held_out: bool) -> list[Maker]:
    first, after = (DIGITS_FOR_TRAINING, DIGITS) if held_out else (0, DIGITS_FOR_TRAINING)
    makers: list[Maker] = [
        partial(composed_scene, one) for one in split()[held_out] for _ in range(counts.each_composition)
    ]
    makers += [partial(handwritten_digit, first + turn % (after - first)) for turn in range(counts.digits)]
    makers += [partial(simple, kind, held_out=held_out) for kind in SIMPLE_KINDS for _ in range(counts.each_kind)]
    return makers
