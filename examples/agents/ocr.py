"""Picture reader: finds and reads printed words with RapidOCR (PaddleOCR's models on ONNX Runtime), in reading order.

The models detect lines even when the page is slightly rotated; ``_in_reading_order`` puts boxes of one row together.
"""

import functools
import io
from dataclasses import dataclass

import numpy as np
from parts import CannotDo, Invocation, Part, answering, bytes_of, label, renamed, text_output, the_first
from PIL import Image, ImageOps
from rapidocr_onnxruntime import RapidOCR

LONGEST_SIDE_PX = 2000
LEAST_CONFIDENCE = 0.5
Image.MAX_IMAGE_PIXELS = 60_000_000


@dataclass(frozen=True, slots=True)
class Box:
    """One piece of text that was found: left edge, width, middle and height in pixels, and the slope of its base."""

    text: str
    left: float
    width: float
    middle: float
    height: float
    slope: float


@functools.cache
def _engine() -> RapidOCR:
    return RapidOCR(intra_op_num_threads=1, inter_op_num_threads=1)


@answering
def run(invocation: Invocation) -> list[Part]:
    """The words of the picture, one line of text for each printed line, cells of a row apart by two spaces."""
    picture = the_first(invocation, "image", "a scan or photo in PNG or JPEG")
    pixels = _pixels(picture)
    found, _ = _engine()(pixels)
    boxes = [_box(corners, text) for corners, text, sure in found or [] if float(sure) >= LEAST_CONFIDENCE]
    if not boxes:
        raise CannotDo("no_text", f"No readable words were found in {label(picture)}.")
    return [text_output("\n".join(_in_reading_order(boxes)), renamed(picture, ".txt", "picture"))]


def _pixels(picture: Part) -> np.ndarray:
    """(height, width, 3) uint8, BGR as the models expect, upright, at most LONGEST_SIDE_PX long."""
    try:
        with Image.open(io.BytesIO(bytes_of(picture))) as opened:
            upright = ImageOps.exif_transpose(opened).convert("RGB")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as problem:
        message = f"{label(picture)} cannot be opened as a picture: {problem}. Send it again as PNG or JPEG."
        raise CannotDo("unreadable", message) from problem
    upright.thumbnail((LONGEST_SIDE_PX, LONGEST_SIDE_PX))
    return np.ascontiguousarray(np.asarray(upright)[:, :, ::-1])


def _box(corners: list[list[float]], text: str) -> Box:
    """Corners come clockwise from the top left."""
    top_left, top_right, _, bottom_left = np.asarray(corners, dtype=float)
    middle = float((top_left[1] + bottom_left[1]) / 2)
    width = max(float(top_right[0] - top_left[0]), 1.0)
    slope = float(top_right[1] - top_left[1]) / width
    return Box(text.strip(), float(top_left[0]), width, middle, float(bottom_left[1] - top_left[1]), slope)


def _in_reading_order(boxes: list[Box]) -> list[str]:
    """Rows from the top, boxes of a row from the left. The page's slope, as its widest boxes show it, is undone."""
    widest = sorted(boxes, key=lambda box: -box.width)[:9]
    slope = float(np.median([box.slope for box in widest]))
    leveled = sorted(((box.middle - slope * box.left, box) for box in boxes), key=lambda pair: pair[0])
    rows: list[list[Box]] = []
    row_level = 0.0
    for level, box in leveled:
        if rows and level - row_level < 0.6 * rows[-1][0].height:
            rows[-1].append(box)
        else:
            rows.append([box])
            row_level = level
    return ["  ".join(box.text for box in sorted(row, key=lambda b: b.left)) for row in rows]
