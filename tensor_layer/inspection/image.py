"""Looks at pictures: decodes them whole, so that a truncated one is found here. A decoder of ``inspector``."""

import struct
import zlib
from typing import Any

from PIL import ExifTags, Image, UnidentifiedImageError

from schemas.parts import Modality
from tensor_layer.inspection.content import Content, Damaged, Seen

FORMATS = ("PNG", "JPEG", "GIF", "WEBP", "TIFF", "BMP", "AVIF")
PIXELS_MAX = 50_000_000
"""200 MB once decoded."""

BROKEN = (
    OSError,  # includes UnidentifiedImageError and truncation
    SyntaxError,  # PNG's and TIFF's word for a broken chunk
    ValueError,
    TypeError,
    LookupError,
    EOFError,
    ArithmeticError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
    Warning,  # where warnings are errors, Pillow's remarks on damaged metadata arrive this way
)
"""What Pillow's decoders raise on damaged bytes."""


def look_at_image(content: Content, media_type: str, pixels_max: int = PIXELS_MAX) -> Seen:
    """Verify, then decode all frames (up to ``pixels_max`` pixels in all). Raises Damaged."""
    try:
        with content.open() as file, Image.open(file, formats=FORMATS) as image:
            _check_size(image, pixels_max)
            image.verify()
        with content.open() as file, Image.open(file, formats=FORMATS) as image:
            facts = _facts(image)
            _decode_all(image, facts["frames"], pixels_max)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise _too_large("far too many", pixels_max) from error
    except BROKEN as error:
        raise Damaged(
            f"the image ({media_type}) is damaged or cut off: {fault_of(error)}.",
            "Export it again and send the new file.",
        ) from error
    return Seen(Modality.IMAGE, media_type, facts)


def fault_of(error: Exception) -> str:
    """What is wrong with a picture, in the decoder's words, without its words for our files."""
    if isinstance(error, UnidentifiedImageError):
        return "its header cannot be read"
    said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return said.rstrip(".") or type(error).__name__


def _check_size(image: Image.Image, pixels_max: int) -> None:
    width, height = image.size
    if width * height > pixels_max:
        raise _too_large(f"{width} x {height}", pixels_max)


def _too_large(pixels: str, pixels_max: int) -> Damaged:
    return Damaged(f"the image has {pixels} pixels; at most {pixels_max} are decoded.", "Send it scaled down.")


def _facts(image: Image.Image) -> dict[str, Any]:
    width, height = image.size
    return {
        "format": image.format,
        "width_px": width,
        "height_px": height,
        "mode": image.mode,
        "frames": getattr(image, "n_frames", 1),  # Pillow's documented way: single-frame formats lack it
        "exif_orientation": int(image.getexif().get(ExifTags.Base.Orientation, 1)),
    }


def _decode_all(image: Image.Image, frames: int, pixels_max: int) -> None:
    decoded_pixels = 0
    for frame in range(frames):
        if frame:
            image.seek(frame)
            _check_size(image, pixels_max)
        image.load()
        decoded_pixels += image.width * image.height
        if decoded_pixels > pixels_max:
            return
