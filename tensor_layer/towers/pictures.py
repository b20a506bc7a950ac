"""Every kind of picture the image tower learns, with its caption and its concepts. Called by ``image_corpus``.

A picture is described twice: by a caption, whose text vector is the target, and by concepts (kind, colour, shape,
count, position, digit), which are how the tower gets there.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
from PIL import Image, ImageFilter

from tensor_layer.towers.drawing import CANVAS_PX, scene
from tensor_layer.towers.papers import PAPERS
from tensor_layer.towers.scenes import COLOURS, COUNTS, POSITIONS, SHAPES, Composition, split

UNKNOWN = -1
"""The label of a concept that says nothing about this picture: a page has no number of shapes."""

DIGIT_WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
SCENE, DIGIT = "scene", "digit"


@dataclass(frozen=True, slots=True)
class Described:
    """A CANVAS_PX square picture, its caption, and its labels in the order of CONCEPTS, UNKNOWN where none fits."""

    picture: Image.Image
    caption: str
    labels: tuple[int, ...]


def photograph(rng: np.random.Generator, *, held_out: bool = False) -> Image.Image:
    """A part of one of scikit-learn's two photographs: the left 60 % for training, the right 35 % held out."""
    whole = _photographs()[int(rng.integers(2))]
    width, height = whole.size
    low, high = (round(0.65 * width), width) if held_out else (0, round(0.6 * width))
    size = int(rng.integers(90, min(high - low, height)))
    left, top = int(rng.integers(low, high - size + 1)), int(rng.integers(0, height - size + 1))
    part = whole.crop((left, top, left + size, top + size)).resize((CANVAS_PX, CANVAS_PX))
    # One photograph is not another: mirror it, change its light, so that two files teach more than two pictures.
    if rng.random() < 0.5:
        part = part.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    tinted = np.asarray(part).astype(np.float32) * rng.uniform(0.6, 1.3, 3) + rng.uniform(-25, 25)
    return Image.fromarray(np.clip(tinted, 0, 255).astype(np.uint8))


def noise(rng: np.random.Generator) -> Image.Image:
    """Grains of one to eight pixels, grey or coloured."""
    grain = int(rng.choice([1, 2, 4, 8]))
    channels = 3 if rng.random() < 0.5 else 1
    values = rng.normal(rng.uniform(80, 170), rng.uniform(25, 90), (CANVAS_PX // grain, CANVAS_PX // grain, channels))
    pixels = np.broadcast_to(np.clip(values, 0, 255).astype(np.uint8), (*values.shape[:2], 3))
    return Image.fromarray(np.ascontiguousarray(pixels)).resize((CANVAS_PX, CANVAS_PX), Image.Resampling.NEAREST)


def blank(rng: np.random.Generator) -> Image.Image:
    """One colour all over."""
    return Image.new("RGB", (CANVAS_PX, CANVAS_PX), tuple(rng.integers(0, 256, 3).tolist()))


def gradient(rng: np.random.Generator) -> Image.Image:
    """Two colours that fade into each other."""
    while np.abs(np.subtract(*(ends := rng.integers(0, 256, (2, 3))))).max() < 70:
        pass
    mask = Image.linear_gradient("L").resize((400, 400)).rotate(rng.uniform(0, 360), Image.Resampling.BILINEAR)
    mask = mask.crop((72, 72, 72 + CANVAS_PX, 72 + CANVAS_PX))
    first, second = (Image.new("RGB", mask.size, tuple(end.tolist())) for end in ends)
    return Image.composite(first, second, mask)


def handwritten_digit(index: int, rng: np.random.Generator) -> Described:
    """One of scikit-learn's 1,797 handwritten digits, enlarged somewhere on paper or, inverted, on a board."""
    pixels, digit = _digits()[0][index], int(_digits()[1][index])
    size = int(rng.integers(110, 230))
    strokes = Image.fromarray((pixels * 15.9).astype(np.uint8)).resize((size, size), Image.Resampling.BICUBIC)
    strokes = strokes.filter(ImageFilter.GaussianBlur(size / 40))
    dark, light = rng.integers(0, 60, 3), rng.integers(195, 256, 3)
    ground, ink = (dark, light) if rng.random() < 0.5 else (light, dark)
    picture = Image.new("RGB", (CANVAS_PX, CANVAS_PX), tuple(ground.tolist()))
    place = rng.integers(0, CANVAS_PX - size + 1, 2).tolist()
    picture.paste(tuple(ink.tolist()), (place[0], place[1], place[0] + size, place[1] + size), strokes)
    return Described(picture, digit_caption(digit), _labels(kind=DIGIT, digit=digit))


def digit_caption(digit: int) -> str:
    """Such as "the handwritten digit seven"."""
    return f"the handwritten digit {DIGIT_WORDS[digit]}"


def composed_scene(composition: Composition, rng: np.random.Generator) -> Described:
    """A scene of this composition."""
    c = composition
    labels = _labels(SCENE, colour=c.colour, shape=c.shape, count=c.count, position=c.position)
    return Described(scene(composition, rng), composition.caption, labels)


def simple(kind: str, rng: np.random.Generator, *, held_out: bool = False) -> Described:
    """A picture of one of SIMPLE_KINDS, whose name is its caption."""
    picture = photograph(rng, held_out=held_out) if kind == PHOTOGRAPH else _DRAWN[kind](rng)
    return Described(picture, kind, _labels(kind))


def training_captions() -> list[str]:
    """Every caption that training sees: 1,280 compositions, ten digits, the simple kinds. Fixed order."""
    return [one.caption for one in split()[0]] + [digit_caption(digit) for digit in range(10)] + list(SIMPLE_KINDS)


PHOTOGRAPH = "a photograph"
_DRAWN: dict[str, Callable[[np.random.Generator], Image.Image]] = {
    **PAPERS,
    "random noise": noise,
    "an empty picture of one plain colour": blank,
    "a smooth colour gradient": gradient,
}
SIMPLE_KINDS: tuple[str, ...] = (*_DRAWN, PHOTOGRAPH)

CONCEPTS: dict[str, tuple[str, ...]] = {
    "kind": (SCENE, DIGIT, *SIMPLE_KINDS),
    "colour": tuple(COLOURS),
    "shape": tuple(SHAPES),
    "count": COUNTS,
    "position": tuple(POSITIONS),
    "digit": DIGIT_WORDS,
}


def _labels(kind: str, **known: int) -> tuple[int, ...]:
    return (CONCEPTS["kind"].index(kind), *(known.get(name, UNKNOWN) for name in list(CONCEPTS)[1:]))


@cache
def _digits() -> tuple[np.ndarray, np.ndarray]:
    from sklearn.datasets import load_digits  # lazy: half a second that serving need not pay

    loaded = load_digits()
    return loaded.images, loaded.target


@cache
def _photographs() -> tuple[Image.Image, ...]:
    from sklearn.datasets import load_sample_images  # lazy, as above

    return tuple(Image.fromarray(pixels) for pixels in load_sample_images().images)
