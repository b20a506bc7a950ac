"""Draws scanned-looking pages, tables, receipts and charts with Pillow. Called by ``pictures``."""

from collections.abc import Callable
from functools import cache

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from tensor_layer.towers.drawing import CANVAS_PX

Pen = ImageDraw.ImageDraw
LETTERS = np.array(list("etaoinshrdlucmfwypvbgkjqxz"))
VOCABULARY_WORDS = 600
INKS = ((20, 20, 24), (40, 40, 60), (60, 50, 45), (25, 35, 80))
CHART_COLOURS = ((31, 119, 180), (255, 127, 14), (44, 160, 44), (214, 39, 40), (148, 103, 189), (80, 80, 80))


def page(rng: np.random.Generator) -> Image.Image:
    """Lines of made-up words, sometimes with a heading, on paper."""
    sheet, pen = _sheet(rng)
    size_px = int(rng.integers(8, 16))
    margin_px, top_px = int(rng.integers(8, 40)), int(rng.integers(6, 40))
    if rng.random() < 0.5:
        pen.text((margin_px, top_px), _words(rng, 3), fill=_ink(rng), font=_font(size_px * 2))
        top_px += size_px * 3
    ink, gap_px = _ink(rng), int(rng.integers(2, 8))
    for line_px in range(top_px, CANVAS_PX - 12, size_px + gap_px):
        if rng.random() < 0.9:
            words = _words(rng, int(rng.integers(4, 14)))
            pen.text((margin_px, line_px), _fitting(words, CANVAS_PX - 2 * margin_px, size_px), ink, _font(size_px))
    return _scanned(sheet, rng)


def table(rng: np.random.Generator) -> Image.Image:
    """Ruled rows and columns with a heading row and numbers."""
    sheet, pen = _sheet(rng)
    rows, columns = int(rng.integers(4, 12)), int(rng.integers(3, 7))
    left, top = rng.integers(6, 30, 2).tolist()
    right, bottom = CANVAS_PX - int(rng.integers(6, 30)), CANVAS_PX - int(rng.integers(6, 70))
    ink, size_px = _ink(rng), int(rng.integers(9, 13))
    across, down = np.linspace(left, right, columns + 1), np.linspace(top, bottom, rows + 1)
    if rng.random() < 0.6:
        pen.rectangle((left, top, right, down[1]), fill=(205, 210, 220))
    for x in across:
        pen.line((x, top, x, bottom), fill=ink, width=int(rng.integers(1, 3)))
    for y in down:
        pen.line((left, y, right, y), fill=ink, width=int(rng.integers(1, 3)))
    for row, y in enumerate(down[:-1]):
        for x in across[:-1]:
            cell = _words(rng, 1) if row == 0 else f"{rng.uniform(0, 999):.{rng.integers(3)}f}"
            pen.text((x + 4, y + 2), _fitting(cell, int(across[1] - across[0]) - 6, size_px), ink, _font(size_px))
    return _scanned(sheet, rng)


def receipt(rng: np.random.Generator) -> Image.Image:
    """A narrow slip on a darker ground: a shop's name, articles with prices, a total."""
    width_px = int(rng.integers(95, 150))
    slip = Image.new("RGB", (width_px, CANVAS_PX - int(rng.integers(0, 40))), (250, 250, 247))
    pen, ink, size_px = ImageDraw.Draw(slip), _ink(rng), int(rng.integers(9, 13))
    pen.text((width_px * 0.2, 6), _words(rng, 1).upper(), fill=ink, font=_font(size_px + 6))
    for y in range(36, slip.height - 40, size_px + 5):
        pen.text((6, y), _fitting(_words(rng, 2), width_px - 52, size_px), ink, _font(size_px))
        pen.text((width_px - 40, y), f"{rng.uniform(0.2, 99):.2f}", ink, _font(size_px))
    pen.line((6, slip.height - 34, width_px - 6, slip.height - 34), fill=ink, width=2)
    pen.text((6, slip.height - 28), f"TOTAL  {rng.uniform(5, 500):.2f}", ink, _font(size_px + 3))
    shade = int(rng.integers(60, 190))
    ground = Image.new("RGB", (CANVAS_PX, CANVAS_PX), (shade, shade, shade + int(rng.integers(-20, 20))))
    ground.paste(slip, ((CANVAS_PX - width_px) // 2 + int(rng.integers(-30, 30)), int(rng.integers(0, 20))))
    return _scanned(ground, rng)


def bar_chart(rng: np.random.Generator) -> Image.Image:
    """Upright bars over an axis."""
    sheet, pen, (left, top, right, bottom) = _axes(rng)
    bars = int(rng.integers(3, 11))
    step = (right - left) / bars
    colours = [_chart_colour(rng)] * bars if rng.random() < 0.6 else [_chart_colour(rng) for _ in range(bars)]
    for bar, colour in enumerate(colours):
        height = rng.uniform(0.08, 1.0) * (bottom - top)
        pen.rectangle((left + step * (bar + 0.15), bottom - height, left + step * (bar + 0.85), bottom), fill=colour)
    return sheet


def line_chart(rng: np.random.Generator) -> Image.Image:
    """One to three wandering lines over two axes."""
    sheet, pen, (left, top, right, bottom) = _axes(rng)
    for _ in range(int(rng.integers(1, 4))):
        steps = int(rng.integers(6, 40))
        walk = np.cumsum(rng.normal(rng.uniform(-0.3, 0.3), 1.0, steps))
        walk = (walk - walk.min()) / max(float(np.ptp(walk)), 1e-6)
        low, high = sorted(rng.uniform(0.0, 1.0, 2))
        heights = bottom - (low * 0.5 + walk * (0.4 + 0.5 * (high - low))) * (bottom - top)
        points = list(zip(np.linspace(left, right, steps).tolist(), heights.tolist(), strict=True))
        pen.line(points, fill=_chart_colour(rng), width=int(rng.integers(2, 6)))
    return sheet


def pie_chart(rng: np.random.Generator) -> Image.Image:
    """A disc cut into three to seven slices."""
    sheet, pen = _sheet(rng)
    cuts = np.concatenate([[0.0], np.cumsum(rng.dirichlet(np.full(int(rng.integers(3, 8)), 3.0)))]) * 360
    radius = rng.uniform(65, 112)
    x, y = rng.uniform(118, 138, 2)
    start = rng.uniform(0, 360)
    colours = rng.permutation(np.array([*CHART_COLOURS, (188, 189, 34), (23, 190, 207)]))
    for begin, end, colour in zip(cuts[:-1], cuts[1:], colours, strict=False):
        box = (x - radius, y - radius, x + radius, y + radius)
        pen.pieslice(box, start + begin, start + end, fill=tuple(colour.tolist()), outline=(255, 255, 255), width=2)
    return sheet


PAPERS: dict[str, Callable[[np.random.Generator], Image.Image]] = {
    "a scanned page of printed text": page,
    "a scanned table of rows and columns": table,
    "a photographed receipt": receipt,
    "a bar chart": bar_chart,
    "a line chart": line_chart,
    "a pie chart": pie_chart,
}


def _sheet(rng: np.random.Generator) -> tuple[Image.Image, Pen]:
    shade = int(rng.integers(225, 256))
    sheet = Image.new("RGB", (CANVAS_PX, CANVAS_PX), (shade, shade, max(shade - int(rng.integers(0, 22)), 0)))
    return sheet, ImageDraw.Draw(sheet)


def _axes(rng: np.random.Generator) -> tuple[Image.Image, Pen, tuple[int, int, int, int]]:
    sheet, pen = _sheet(rng)
    left, top = rng.integers(14, 44, 2).tolist()
    right, bottom = CANVAS_PX - int(rng.integers(8, 30)), CANVAS_PX - int(rng.integers(16, 44))
    if rng.random() < 0.4:
        for y in np.linspace(top, bottom, 6):
            pen.line((left, y, right, y), fill=(205, 205, 205), width=1)
    pen.line((left, top, left, bottom, right, bottom), fill=(40, 40, 40), width=int(rng.integers(1, 4)))
    if rng.random() < 0.6:
        pen.text((left + 20, 2), _words(rng, 2), fill=(30, 30, 30), font=_font(12))
    return sheet, pen, (left, top, right, bottom)


def _scanned(sheet: Image.Image, rng: np.random.Generator) -> Image.Image:
    """A little askew, a little soft, a little grainy."""
    fill = sheet.getpixel((1, 1))
    turned = sheet.rotate(rng.uniform(-4, 4), Image.Resampling.BILINEAR, fillcolor=fill)
    soft = turned.filter(ImageFilter.GaussianBlur(rng.uniform(0.0, 0.9)))
    grain = np.asarray(soft).astype(np.float32) + rng.normal(0, rng.uniform(0, 9), (*soft.size[::-1], 1))
    return Image.fromarray(np.clip(grain, 0, 255).astype(np.uint8))


def _words(rng: np.random.Generator, count: int) -> str:
    vocabulary = _vocabulary()
    return " ".join([vocabulary[number] for number in rng.integers(0, len(vocabulary), count).tolist()])


@cache
def _vocabulary() -> tuple[str, ...]:
    """Made-up words, common letters first. Drawing letter by letter for every page would take most of the time."""
    rng = np.random.default_rng(0)
    odds = 1.0 / np.arange(2, len(LETTERS) + 2)
    letters = rng.choice(LETTERS, (VOCABULARY_WORDS, 10), p=odds / odds.sum())
    lengths = rng.integers(2, 10, VOCABULARY_WORDS).tolist()
    return tuple("".join(row[:length]) for row, length in zip(letters.tolist(), lengths, strict=True))


def _fitting(text: str, width_px: int, size_px: int) -> str:
    return text[: max(int(width_px / (size_px * 0.52)), 1)]


def _ink(rng: np.random.Generator) -> tuple[int, int, int]:
    return INKS[int(rng.integers(len(INKS)))]


def _chart_colour(rng: np.random.Generator) -> tuple[int, int, int]:
    return CHART_COLOURS[int(rng.integers(len(CHART_COLOURS)))]


@cache
def _font(size_px: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size_px)
