"""Pictures become the pixels a vision transformer reads: what open_clip and CLIP do themselves, without torchvision.

Radford et al. 2021. A parity test holds it to open_clip's transform.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tensor_layer.ports import Picture

FILTERS = {"bicubic": Image.Resampling.BICUBIC, "bilinear": Image.Resampling.BILINEAR}


@dataclass(frozen=True, slots=True)
class PixelRecipe:
    """How pixels are made. ``mode`` is ``shortest`` (resize the short side, cut the middle) or ``squash``."""

    height_px: int
    width_px: int
    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    interpolation: str = "bicubic"
    mode: str = "shortest"


def pixels_of(picture: Picture, recipe: PixelRecipe) -> NDArray[np.float32]:
    """(3, height, width) float32, normalised by channel."""
    resample = FILTERS[recipe.interpolation]
    if recipe.mode == "squash":
        picture = picture.resize((recipe.width_px, recipe.height_px), resample)
    else:
        picture = _middle(_shortest(picture, recipe, resample), recipe)
    scaled = np.asarray(picture, dtype=np.float32) / np.float32(255)
    mean, deviation = (np.asarray(each, dtype=np.float32) for each in (recipe.mean, recipe.deviation))
    return np.ascontiguousarray(((scaled - mean) / deviation).transpose(2, 0, 1))


def _shortest(picture: Picture, recipe: PixelRecipe, resample: Image.Resampling) -> Picture:
    side = min(recipe.height_px, recipe.width_px)
    width, height = picture.size
    if min(width, height) == side:
        return picture
    short, long = min(width, height), max(width, height)
    longer = int(side * long / short)
    return picture.resize((side, longer) if width <= height else (longer, side), resample)


def _middle(picture: Picture, recipe: PixelRecipe) -> Picture:
    """The middle, padded with black where the picture is smaller."""
    width, height = picture.size
    left, top = round((width - recipe.width_px) / 2.0), round((height - recipe.height_px) / 2.0)
    return picture.crop((left, top, left + recipe.width_px, top + recipe.height_px))
