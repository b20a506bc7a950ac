"""How long encoding takes and what batching gains, measured through the same classes that serve tasks.

Wall times on a busy machine say little; CPU times and ratios inside one run are what to compare. The two sides of a
ratio take turns, so that what else the machine does hits both.
"""

import asyncio
import resource
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import numpy as np

from schemas.parts import Modality, Part, text_part
from tensor_layer.encoders import SHIPPED
from tensor_layer.evaluation.contents import picture_part, sentence, sound_part
from tensor_layer.evaluation.plain import PlainLibrary, Spent
from tensor_layer.ports import EncoderCard, PartEncoder, TextEncoder, Vector
from tensor_layer.storage.blobs import ObstoreBlobs
from tensor_layer.wiring import EncoderChoice, Encoders, local_encoders, perceiver

CLIENTS = 16
ROUNDS = 6
Encode = Callable[[int], Awaitable[Vector]]


async def measure(choice: EncoderChoice, samples: int, seed: int) -> dict[str, Any]:
    """Figures of all modalities, as JSON. Nothing is read from a cache but where it says so.

    Raises EncoderUnavailable for encoders that are not there.
    """
    blobs = ObstoreBlobs.from_url("memory://")
    encoders = local_encoders(blobs, choice)
    figures: dict[str, Any] = {"threads": choice.threads, "seed": seed, "samples": samples}
    figures["text"] = _about(encoders.text_card) | await _text(encoders.text, samples, seed)
    if choice.text == SHIPPED:
        figures["text"] |= await _against_plain(encoders.text, samples, seed)
    for modality, make in ((Modality.IMAGE, picture_part), (Modality.AUDIO, sound_part)):
        encoder = encoders.senses.get(modality)
        figures[modality.value] = None if encoder is None else await _sense(encoder, make, samples, seed)
    figures["cached_percept"] = await _cached_percept(blobs, encoders, samples)
    figures["memory_peak_mb"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    return figures


def _about(card: EncoderCard | None) -> dict[str, Any]:
    if card is None:
        return {}
    return {"encoder": card.version.model_dump(), "device": card.device, "dtype": card.dtype, "licence": card.licence}


async def _text(encoder: TextEncoder, samples: int, seed: int) -> dict[str, Any]:
    first = 1_000_000 * (seed + 1)

    async def encode(number: int) -> Vector:
        return await encoder.encode([sentence(first + number)])

    return await _figures(encode, samples)


async def _against_plain(encoder: TextEncoder, samples: int, seed: int) -> dict[str, Any]:
    """CLIENTS at once here, against ``SentenceTransformer.encode`` of one sentence after the other with the same
    weights: with one thread and with as many as torch takes by itself, of which the faster counts.
    """
    share = max(1, samples // CLIENTS)
    first = 1_000_000 * (seed + 1) + 500_000
    numbers = iter(range(first, first + 2 * ROUNDS * ((share + 1) * CLIENTS + 1)))

    async def encode(number: int) -> Vector:
        return await encoder.encode([sentence(number)])

    compared = []
    for threads in (1, None):
        library = await PlainLibrary.start(threads)
        if library is None:
            return {}
        plain, together = [], []
        for _ in range(ROUNDS):
            plain.append(await library.one_at_a_time(next(numbers), share * CLIENTS))
            await _spent([encode] * CLIENTS, numbers, 1)  # both threads awake again
            together.append(await _spent([encode] * CLIENTS, numbers, share))
        await library.stop()
        compared.append((_ratio([(a.wall_s, b.wall_s) for a, b in zip(plain, together, strict=True)]), plain))
    ratio, plain = min(compared, key=lambda each: each[0])
    return {
        "sentence_transformers_one_at_a_time_per_s": _rate(plain, share * CLIENTS),
        "batching_times_sentence_transformers": ratio,
    }


async def _sense(encoder: PartEncoder, make: Callable[[int], Part], samples: int, seed: int) -> dict[str, Any]:
    needed = range(_needed(samples))
    parts = [make(1_000_000 * (seed + 1) + number) for number in needed]

    async def encode(number: int) -> Vector:
        return await encoder.encode([parts[number]])

    return _about(encoder.card) | await _figures(encode, samples)


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


def _ms(seconds: Sequence[float], percentile: int) -> float:
    return round(1000 * float(np.percentile(seconds, percentile)), 3)


def _rate(rounds: Sequence[Spent], contents: int) -> float:
    return round(contents / float(np.median([spent.wall_s for spent in rounds])), 1)


def _ratio(pairs: Sequence[tuple[float, float]]) -> float:
    return round(float(np.median([alone / together for alone, together in pairs])), 2)
