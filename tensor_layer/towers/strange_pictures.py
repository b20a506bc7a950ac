"""Pictures of kinds that the image tower never saw, to measure whether it knows that. Called by ``acquaintance``.

None of them takes part in fitting or in choosing the threshold.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from tensor_layer.towers.drawing import CANVAS_PX

Maker = Callable[[np.random.Generator], Image.Image]


def clouds(rng: np.random.Generator) -> Image.Image:
    """Coloured noise that is smooth at large, as in textures of nature."""
    rates = np.fft.fftfreq(CANVAS_PX)
    distance = np.hypot(rates[:, None], rates[None])
    distance[0, 0] = 1.0
    falling = distance ** rng.uniform(1.2, 2.2)
    planes = [np.fft.ifft2(np.fft.fft2(rng.normal(size=distance.shape)) / falling).real for _ in range(3)]
    values = np.stack([(plane - plane.mean()) / plane.std() for plane in planes], axis=-1)
    return _picture(128 + 50 * values + rng.uniform(-40, 40, 3))


def stripes(rng: np.random.Generator) -> Image.Image:
    """Two colours in stripes, in any direction."""
    across, down = _places()
    turn, period = rng.uniform(0, np.pi), rng.uniform(8, 60)
    return _two_colours(np.sin((across * np.cos(turn) + down * np.sin(turn)) * 2 * np.pi / period) > 0, rng)


def chequers(rng: np.random.Generator) -> Image.Image:
    """A chessboard of two colours."""
    across, down = (place // int(rng.integers(8, 64)) for place in _places())
    return _two_colours((across + down) % 2 > 0, rng)


def rings(rng: np.random.Generator) -> Image.Image:
    """Soft rings around somewhere."""
    across, down = _places()
    distance = np.hypot(across - rng.uniform(0, CANVAS_PX), down - rng.uniform(0, CANVAS_PX))
    return _two_colours(0.5 + 0.5 * np.sin(distance * 2 * np.pi / rng.uniform(10, 60)), rng)


def mosaic(rng: np.random.Generator) -> Image.Image:
    """A few large squares of any colour."""
    side = int(rng.integers(3, 9))
    small = _picture(rng.integers(0, 256, (side, side, 3)))
    return small.resize((CANVAS_PX, CANVAS_PX), Image.Resampling.NEAREST)


def specks(rng: np.random.Generator) -> Image.Image:
    """One colour with black and white specks."""
    values = np.tile(rng.integers(0, 256, 3), (CANVAS_PX, CANVAS_PX, 1))
    chance = rng.random((CANVAS_PX, CANVAS_PX))
    values[chance < 0.1], values[chance > 0.9] = 0, 255
    return _picture(values)


def scribble(rng: np.random.Generator) -> Image.Image:
    """Some freehand lines on paper."""
    picture = Image.new("RGB", (CANVAS_PX, CANVAS_PX), _colour(rng, 200))
    pen = ImageDraw.Draw(picture)
    for _ in range(int(rng.integers(2, 7))):
        way = np.cumsum(rng.normal(0, 22, (30, 2)), axis=0) + rng.uniform(60, 190, 2)
        pen.line([(x, y) for x, y in way.tolist()], fill=_colour(rng), width=int(rng.integers(1, 6)))
    return picture


def confetti(rng: np.random.Generator) -> Image.Image:
    """A dozen and more overlapping ellipses and boxes of any colour and size: no scene of the course."""
    picture = Image.new("RGB", (CANVAS_PX, CANVAS_PX), _colour(rng))
    pen = ImageDraw.Draw(picture)
    for _ in range(int(rng.integers(12, 40))):
        (left, top), (width, height) = rng.uniform(0, CANVAS_PX, 2), rng.uniform(8, 70, 2)
        draw = pen.ellipse if rng.random() < 0.5 else pen.rectangle
        draw((left, top, left + width, top + height), fill=_colour(rng))
    return picture


def village(rng: np.random.Generator) -> Image.Image:
    """Drawn houses on a meadow under a sun."""
    ground = int(rng.integers(120, 190))
    picture = Image.new("RGB", (CANVAS_PX, CANVAS_PX), _colour(rng, 120))
    pen = ImageDraw.Draw(picture)
    pen.rectangle((0, ground, CANVAS_PX, CANVAS_PX), fill=_colour(rng))
    for _ in range(int(rng.integers(2, 6))):
        left, width, height = rng.uniform(0, 210), rng.uniform(20, 70), rng.uniform(30, 110)
        top = ground - height
        pen.rectangle((left, top, left + width, ground), fill=_colour(rng))
        ridge = (left + width / 2, top - rng.uniform(10, 50))
        pen.polygon([(left - 5, top), ridge, (left + width + 5, top)], fill=_colour(rng))
    pen.ellipse((200, 15, 235, 50), fill=(250, 220, 80))
    return picture


def portrait(rng: np.random.Generator) -> Image.Image:
    """A part of matplotlib's photograph of Grace Hopper. Raises FileNotFoundError, ImportError without it."""
    import matplotlib  # lazy: only measuring needs it

    whole = Image.open(Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg").convert("RGB")
    size = int(rng.integers(round(0.35 * min(whole.size)), min(whole.size)))
    left, top = (int(rng.integers(0, length - size + 1)) for length in whole.size)
    return whole.crop((left, top, left + size, top + size))


STRANGE_PICTURES: dict[str, Maker] = {
    make.__name__: make
    for make in (clouds, stripes, chequers, rings, mosaic, specks, scribble, confetti, village, portrait)
}


def _places() -> tuple[np.ndarray, np.ndarray]:
    across, down = np.meshgrid(np.arange(CANVAS_PX), np.arange(CANVAS_PX))
    return across, down


def _colour(rng: np.random.Generator, darkest: int = 0) -> tuple[int, ...]:
    return tuple(rng.integers(darkest, 256, 3).tolist())


def _two_colours(share: np.ndarray, rng: np.random.Generator) -> Image.Image:
    first, second = rng.integers(0, 256, (2, 3))
    return _picture(share[..., None] * first + (1 - share[..., None]) * second)


def _picture(values: np.ndarray) -> Image.Image:
    return Image.fromarray(np.clip(values, 0, 255).astype(np.uint8))
