"""How long encoding takes and what batching gains, measured through the same classes that serve tasks.

Wall times on a busy machine say little; CPU times and ratios inside one run are what to compare. The two sides of a
ratio take turns, so that what else the machine does hits both.
"""

import asyncio
import base64
import io
import resource
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import soundfile
from PIL import Image, ImageDraw

from schemas.parts import Modality, Part, text_part
from tensor_layer.ports import SAMPLE_RATE_HZ, PartEncoder, TextEncoder, Vector
from tensor_layer.storage.blobs import ObstoreBlobs
from tensor_layer.wiring import EncoderChoice, Encoders, local_encoders, perceiver

CLIENTS = 16
ROUNDS = 6
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

Encode = Callable[[int], Awaitable[Vector]]


@dataclass(frozen=True, slots=True)
class Spent:
    """What some work took, in seconds: by the clock, and of all of this process's threads."""

    wall_s: float
    cpu_s: float


async def measure(choice: EncoderChoice, samples: int, seed: int) -> dict[str, Any]:
    """Figures of all modalities, as JSON. Nothing is read from a cache but where it says so.

    Raises EncoderUnavailable for encoders that are not there.
    """
    blobs = ObstoreBlobs.from_url("memory://")
    encoders = local_encoders(blobs, choice)
    figures: dict[str, Any] = {"threads": choice.threads, "seed": seed, "samples": samples}
    figures["text"] = await _text(encoders.text, samples, seed)
    for modality, make in ((Modality.IMAGE, picture_part), (Modality.AUDIO, sound_part)):
        encoder = encoders.senses.get(modality)
        figures[modality.value] = None if encoder is None else await _sense(encoder, make, samples, seed)
    figures["cached_percept"] = await _cached_percept(blobs, encoders, samples)
    figures["memory_peak_mb"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    return figures


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


async def _text(encoder: TextEncoder, samples: int, seed: int) -> dict[str, Any]:
    first = 1_000_000 * (seed + 1)

    async def encode(number: int) -> Vector:
        return await encoder.encode([sentence(first + number)])

    return {"encoder": encoder.version.model_dump(), **await _figures(encode, samples)}


async def _sense(encoder: PartEncoder, make: Callable[[int], Part], samples: int, seed: int) -> dict[str, Any]:
    needed = range(_needed(samples))
    parts = [make(1_000_000 * (seed + 1) + number) for number in needed]

    async def encode(number: int) -> Vector:
        return await encoder.encode([parts[number]])

    card = encoder.card
    about = {"encoder": card.version.model_dump(), "device": card.device, "dtype": card.dtype, "licence": card.licence}
    return about | await _figures(encode, samples)


async def _figures(encode: Encode, samples: int) -> dict[str, Any]:
    """One at a time, and by CLIENTS at once; ``encode`` is given another number every time."""
    numbers = iter(range(_needed(samples)))
    for _ in range(CLIENTS):
        await encode(next(numbers))
    one = [await _spent([encode], numbers, 1) for _ in range(samples)]
    share = max(1, samples // CLIENTS)
    alone, together = [], []
    for _ in range(ROUNDS):
        alone.append(await _spent([encode], numbers, share * CLIENTS))
        together.append(await _spent([encode] * CLIENTS, numbers, share))
    return {
        "one_wall_ms_p50": _ms([spent.wall_s for spent in one], 50),
        "one_wall_ms_p99": _ms([spent.wall_s for spent in one], 99),
        "one_cpu_ms_p50": _ms([spent.cpu_s for spent in one], 50),
        "one_at_a_time_per_s": _rate(alone, share * CLIENTS),
        f"{CLIENTS}_clients_per_s": _rate(together, share * CLIENTS),
        "batching_times_throughput": _ratio([(a.wall_s, b.wall_s) for a, b in zip(alone, together, strict=True)]),
        "batching_times_less_cpu": _ratio([(a.cpu_s, b.cpu_s) for a, b in zip(alone, together, strict=True)]),
    }


def _needed(samples: int) -> int:
    """How many different contents ``_figures`` asks for."""
    return CLIENTS + samples + 2 * ROUNDS * max(1, samples // CLIENTS) * CLIENTS


async def _spent(clients: Sequence[Encode], numbers: Any, each: int) -> Spent:  # noqa: ANN401 - a shared iterator
    async def client(encode: Encode) -> None:
        for _ in range(each):
            await encode(next(numbers))

    wall, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*map(client, clients))
    return Spent(time.perf_counter() - wall, time.process_time() - cpu)


async def _cached_percept(blobs: ObstoreBlobs, encoders: Encoders, samples: int) -> dict[str, Any]:
    """A task of a sentence and a picture that was perceived before."""
    perceiving = perceiver(blobs, encoders)
    parts = [text_part("Please draw this again, in blue"), picture_part(1)]
    await perceiving.perceive(parts)
    walls, cpus = [], []
    for _ in range(samples):
        wall, cpu = time.perf_counter(), time.thread_time()
        await perceiving.perceive(parts)
        walls.append(time.perf_counter() - wall)
        cpus.append(time.thread_time() - cpu)
    return {"wall_ms_p50": _ms(walls, 50), "cpu_ms_p50": _ms(cpus, 50)}


def _inline(content: bytes) -> Part:
    return Part(data=base64.b64encode(content).decode())


def _ms(seconds: Sequence[float], percentile: int) -> float:
    return round(1000 * float(np.percentile(seconds, percentile)), 3)


def _rate(rounds: Sequence[Spent], contents: int) -> float:
    return round(contents / float(np.median([spent.wall_s for spent in rounds])), 1)


def _ratio(pairs: Sequence[tuple[float, float]]) -> float:
    return round(float(np.median([alone / together for alone, together in pairs])), 2)
