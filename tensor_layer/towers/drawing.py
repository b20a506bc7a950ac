"""Draws a scene of coloured shapes with Pillow. Called for every training and held-out picture."""

import math

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from tensor_layer.towers.scenes import COLOURS, POSITIONS, SHAPES, Composition

CANVAS_PX = 256
COLOUR_JITTER = 14
CONTRAST_MIN = 120.0
"""Euclidean RGB distance of the background from the shapes: less, and a person could not tell either."""
Point = tuple[float, float]
Colour = tuple[int, int, int]


def scene(composition: Composition, rng: np.random.Generator) -> Image.Image:
    """A CANVAS_PX square RGB picture: place, size, tint, background, tilt and blur vary, the caption stays true."""
    colour = _jittered(list(COLOURS.values())[composition.colour], rng)
    picture = background(colour, rng)
    pen = ImageDraw.Draw(picture)
    centre = list(POSITIONS.values())[composition.position]
    radius, places = _places(composition.count + 1, centre, rng)
    for place in places:
        _draw_shape(pen, composition.shape, place, radius * rng.uniform(0.9, 1.0), rng.uniform(-0.2, 0.2), colour)
    return picture.filter(ImageFilter.GaussianBlur(rng.uniform(0.0, 2.0))) if rng.random() < 0.3 else picture


def background(colour: Colour, rng: np.random.Generator) -> Image.Image:
    """A plain or shaded ground that keeps its distance from ``colour``."""
    first, second = _ground(colour, rng), _ground(colour, rng)
    if rng.random() < 0.6 or _between(first, second, colour) < CONTRAST_MIN:
        return Image.new("RGB", (CANVAS_PX, CANVAS_PX), first)
    mask = Image.linear_gradient("L").rotate(90 * int(rng.integers(4)))
    plain = Image.new("RGB", (CANVAS_PX, CANVAS_PX), first)
    return Image.composite(Image.new("RGB", plain.size, second), plain, mask)


def _jittered(colour: Colour, rng: np.random.Generator) -> Colour:
    red, green, blue = np.clip(np.asarray(colour) + rng.integers(-COLOUR_JITTER, COLOUR_JITTER + 1, 3), 0, 255)
    return int(red), int(green), int(blue)


def _ground(colour: Colour, rng: np.random.Generator) -> Colour:
    while True:
        base = rng.integers(0, 256)
        tint = rng.integers(-45, 46, 3) if rng.random() < 0.6 else np.zeros(3, dtype=np.int64)
        red, green, blue = (int(each) for each in np.clip(base + tint, 0, 255))
        if math.dist((red, green, blue), colour) >= CONTRAST_MIN:
            return red, green, blue


def _between(first: Colour, second: Colour, colour: Colour) -> float:
    """How near ``colour`` comes to the line from ``first`` to ``second``."""
    steps = np.linspace(0.0, 1.0, 9)[:, None]
    shades = (1 - steps) * np.asarray(first) + steps * np.asarray(second)
    return float(np.linalg.norm(shades - np.asarray(colour), axis=1).min())


def _places(count: int, centre: Point, rng: np.random.Generator) -> tuple[float, list[Point]]:
    """(radius, centres) in fractions of the canvas: on a loose grid, nothing touches, the middle of all at centre."""
    across = 1 if count == 1 else 2 if count <= 4 and rng.random() < 0.6 else 3
    cell = {1: 0.34, 2: 0.22, 3: 0.158}[across]
    smallest = {1: 0.08, 2: 0.07, 3: 0.062}[across]
    radius = rng.uniform(smallest, cell * 0.47)
    slack = max(cell / 2 - radius - 0.004, 0.0)
    cells = rng.choice(across * across, size=count, replace=False)
    grid = np.stack(np.divmod(cells, across), axis=1) * cell + rng.uniform(-slack, slack, (count, 2))
    wanted = np.asarray(centre) + rng.uniform(-0.06, 0.06, 2)
    points = grid - (grid.min(0) + grid.max(0)) / 2 + wanted
    # A wide group may stick out: push it back as a whole.
    points += np.clip(radius + 0.01 - points.min(0), 0, None) - np.clip(points.max(0) + radius + 0.01 - 1, 0, None)
    return float(radius), [(float(x), float(y)) for x, y in points]


def _draw_shape(pen: ImageDraw.ImageDraw, shape: int, place: Point, radius: float, tilt: float, fill: Colour) -> None:
    name = list(SHAPES)[shape]
    x, y, r = place[0] * CANVAS_PX, place[1] * CANVAS_PX, radius * CANVAS_PX
    box = (x - r, y - r, x + r, y + r)
    if name == "circle":
        pen.ellipse(box, fill=fill)
    elif name == "ring":
        pen.ellipse(box, outline=fill, width=max(round(r * 0.36), 3))
    else:
        cos, sin = math.cos(tilt), math.sin(tilt)
        pen.polygon([(x + r * (cos * u - sin * v), y + r * (sin * u + cos * v)) for u, v in _OUTLINES[name]], fill=fill)


def _star() -> list[Point]:
    angles = [math.pi * (step / 5 - 0.5) for step in range(10)]
    return [
        (math.cos(angle) * length, math.sin(angle) * length)
        for angle, length in zip(angles, [1.05, 0.42] * 5, strict=True)
    ]


def _heart() -> list[Point]:
    """The usual parametric heart, scaled into the unit circle."""
    angles = [2 * math.pi * step / 40 for step in range(40)]
    across = [16 * math.sin(angle) ** 3 for angle in angles]
    down = [-(13 * math.cos(a) - 5 * math.cos(2 * a) - 2 * math.cos(3 * a) - math.cos(4 * a)) for a in angles]
    return [(x / 16.5, y / 16.5) for x, y in zip(across, down, strict=True)]


_OUTLINES: dict[str, list[Point]] = {
    "square": [(-0.85, -0.85), (0.85, -0.85), (0.85, 0.85), (-0.85, 0.85)],
    "triangle": [(0.0, -1.0), (0.95, 0.8), (-0.95, 0.8)],
    "diamond": [(0.0, -1.05), (0.75, 0.0), (0.0, 1.05), (-0.75, 0.0)],
    "cross": [
        *((-0.3, -1.0), (0.3, -1.0), (0.3, -0.3), (1.0, -0.3), (1.0, 0.3), (0.3, 0.3)),
        *((0.3, 1.0), (-0.3, 1.0), (-0.3, 0.3), (-1.0, 0.3), (-1.0, -0.3), (-0.3, -0.3)),
    ],
    "star": _star(),
    "heart": _heart(),
}
"""Corners in the unit circle, y downwards."""
