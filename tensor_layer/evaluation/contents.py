"""What is encoded when serving is measured: sentences, pictures and sounds, every number another one."""

import base64
import io

import numpy as np
import soundfile
from PIL import Image, ImageDraw

from schemas.parts import Part
from tensor_layer.ports import SAMPLE_RATE_HZ

VERBS = ("read", "summarise", "translate", "compare", "draw", "check", "explain", "convert", "list", "rewrite")
THINGS = (
    "invoice",
    "weather report",
    "sales table",
    "meeting notes",
    "contract",
    "city map",
    "user story",
    "recording",
)
ENDS = (
    "for my boss",
    "in French",
    "as a bar chart",
    "by tomorrow",
    "with all amounts",
    "in plain words",
    "for children",
)


def sentence(number: int) -> str:
    """A request of the usual length; every number is another one."""
    words = (VERBS[number % 10], THINGS[number // 10 % 8], number, ENDS[number // 80 % 7])
    return "Please {} the attached {} number {} {}".format(*words)


def picture_part(number: int) -> Part:
    """A drawn picture of 640 x 480 as PNG, as a part of its own."""
    rng = np.random.default_rng(number)
    image = Image.new("RGB", (640, 480), tuple(int(value) for value in rng.integers(0, 256, 3)))
    drawing = ImageDraw.Draw(image)
    for _ in range(12):
        left, top, width, height = (int(value) for value in rng.integers(10, 300, 4))
        colour = tuple(int(value) for value in rng.integers(0, 256, 3))
        drawing.ellipse((left, top, left + width, top + height), fill=colour)
    file = io.BytesIO()
    image.save(file, "PNG")
    return _inline(file.getvalue())


def sound_part(number: int) -> Part:
    """Two seconds of a tone in noise as WAV, as a part of its own."""
    rng = np.random.default_rng(number)
    time_s = np.arange(2 * SAMPLE_RATE_HZ) / SAMPLE_RATE_HZ
    samples = 0.3 * np.sin(2 * np.pi * rng.uniform(100, 2000) * time_s) + 0.05 * rng.standard_normal(len(time_s))
    file = io.BytesIO()
    soundfile.write(file, samples.astype(np.float32), SAMPLE_RATE_HZ, format="WAV", subtype="PCM_16")
    return _inline(file.getvalue())


def _inline(content: bytes) -> Part:
    return Part(data=base64.b64encode(content).decode())
