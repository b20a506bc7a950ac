"""Bytes become a picture as encoders want it: upright, RGB, opaque. Called by ``parts`` in a thread."""

import io
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from tensor_layer.inspection.content import Content, Damaged, Kind
from tensor_layer.inspection.image import BROKEN, FORMATS, PIXELS_MAX, fault_of
from tensor_layer.inspection.sniffing import sniff
from tensor_layer.ports import Picture

PAPER = (255, 255, 255)
"""What shows through transparent places. Most drawings with an alpha channel are made for a white page."""
SIDE_RATIO_MAX = 200
"""A strip that is longer is nothing to look at, and resizing its short side to a model's would take gigabytes."""


STRIP_PX = 256
SHORT_SIDE_PX = 1024
"""No encoder looks at more of a short side. Larger pictures are reduced by a whole factor while they wait."""


def decode_picture(content: bytes | Path, pixels_max: int = PIXELS_MAX) -> Picture:
    """The first frame, turned by its EXIF orientation, on white, in RGB; very large ones reduced.

    Raises Damaged for what is no picture, is cut off, or has more than ``pixels_max`` pixels; sizes are checked before
    anything is decoded.
    """
    source = io.BytesIO(content) if isinstance(content, bytes) else content
    try:
        with Image.open(source, formats=FORMATS) as image:
            _check_shape(image, pixels_max)
            ImageOps.exif_transpose(image, in_place=True)
            return _looked_at(image)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise Damaged(f"the image has far more than {pixels_max} pixels.", "Send it scaled down.") from error
    except BROKEN as error:
        raise _undecodable(content, error) from error


def _undecodable(content: bytes | Path, error: Exception) -> Damaged:
    sniffed = sniff(Content.of(content).head())
    if sniffed.kind is not Kind.IMAGE:
        return Damaged(
            f"it is no image: its content is {sniffed.name}.", "Send PNG, JPEG, GIF, WebP, TIFF, BMP or AVIF."
        )
    return Damaged(
        f"the image ({sniffed.media_type}) is damaged or cut off: {fault_of(error)}.",
        "Export it again and send the new file.",
    )


def _check_shape(image: Image.Image, pixels_max: int) -> None:
    width, height = image.size
    if width * height > pixels_max:
        raise Damaged(f"the image has {width} x {height} pixels; at most {pixels_max}.", "Send it scaled down.")
    if min(width, height) == 0 or max(width, height) > SIDE_RATIO_MAX * min(width, height):
        raise Damaged(f"the image is a strip of {width} x {height} pixels.", "Send the part that shows something.")


def _looked_at(image: Image.Image) -> Picture:
    """RGB, opaque, reduced. A picture of 50 million pixels is held once or twice, not four times."""
    if image.mode.startswith("I") or image.mode == "F":
        image = _eight_bits(image)
    if image.has_transparency_data:
        return _reduced(_on_paper(image))
    if image.mode in ("RGB", "L"):
        return _reduced(image).convert("RGB")
    return _reduced(image.convert("RGB"))


def _on_paper(image: Image.Image) -> Picture:
    """In strips: each is held as RGBA two times more."""
    page = Image.new("RGB", image.size)
    width, height = image.size
    for top in range(0, height, STRIP_PX):
        box = (0, top, width, min(height, top + STRIP_PX))
        strip = image.crop(box).convert("RGBA")
        paper = Image.new("RGBA", strip.size, (*PAPER, 255))
        page.paste(Image.alpha_composite(paper, strip).convert("RGB"), box)
    return page


def _reduced(picture: Picture) -> Picture:
    factor = min(picture.size) // SHORT_SIDE_PX
    return picture.reduce(factor) if factor >= 2 else picture


def _eight_bits(image: Image.Image) -> Image.Image:
    """Scans and scientific pictures carry 16 or 32 bits a pixel; Pillow's own conversion would clip them to white."""
    values = np.nan_to_num(np.asarray(image, dtype=np.float32), posinf=0.0, neginf=0.0)
    top = 65_535.0 if image.mode.startswith("I;16") else max(float(values.max()), 1.0)
    return Image.fromarray((values.clip(0, top) * (255.0 / top)).astype(np.uint8), mode="L")
