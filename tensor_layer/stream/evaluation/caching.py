"""How often the cache has it: S3-FIFO on Zipf and on a trace, beside LRU; and the cyclic loop with prefetch."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from tensor_layer.errors import TensorNotFound
from tensor_layer.stream.cache import TensorCache
from tensor_layer.stream.contest import Contest
from tensor_layer.stream.fetching import FetchCounts, Fetching
from tensor_layer.stream.gru import Gru
from tensor_layer.stream.markov import Markov
from tensor_layer.stream.prefetch import Forecaster, Prefetch, PrefetchCounts
from tensor_layer.stream.s3fifo import S3Fifo
from tensor_layer.stream.tensor import Tensor, from_numpy

LAYERS, LAYER_VALUES = 64, 16_384
BACKEND_S, WORK_S = 0.002, 0.001
WAITING = 4


def zipf_trace(requests: int = 100_000, objects: int = 20_000, skew: float = 1.0, seed: int = 1) -> list[int]:
    """Object numbers from 1, Zipf-distributed."""
    chances = 1 / np.arange(1, objects + 1) ** skew
    drawn = np.random.default_rng(seed).choice(objects, requests, p=chances / chances.sum())
    return [int(number) + 1 for number in drawn]


def read_trace(path: Path) -> list[int]:
    """One object number a line."""
    return [int(line) for line in path.read_text().split()]


def s3fifo_hits(trace: Sequence[int], capacity: int) -> float:
    """Share of requests that our S3-FIFO had; every object counts one."""
    cache, hits = S3Fifo(capacity), 0
    for number in trace:
        key = str(number)
        if cache.use(key):
            hits += 1
        else:
            cache.admit(key, 1)
    return hits / len(trace)


def lru_hits(trace: Sequence[int], capacity: int) -> float:
    """The same for least recently used."""
    kept: OrderedDict[int, None] = OrderedDict()
    hits = 0
    for number in trace:
        if number in kept:
            kept.move_to_end(number)
            hits += 1
            continue
        if len(kept) >= capacity:
            kept.popitem(last=False)
        kept[number] = None
    return hits / len(trace)


def hit_rates(trace: Sequence[int], shares: Sequence[float] = (0.01, 0.1)) -> list[dict[str, float]]:
    """Hit rates with room for a share of the distinct objects."""
    distinct = len(set(trace))
    rows = []
    for share in shares:
        capacity = max(int(distinct * share), 10)
        ours, theirs = s3fifo_hits(trace, capacity), lru_hits(trace, capacity)
        rows.append({"objects": capacity, "share": share, "s3fifo": round(ours, 4), "lru": round(theirs, 4)})
    return rows


def forecasts(uses: int = 4000) -> list[dict[str, Any]]:
    """Share of next uses forecast in the second half, by the Markov chain alone and in contest with the GRU."""
    drawn = np.random.default_rng(3)
    sequences = {
        "one step in eight differs": list("xxxyxxxz"),
        "24 uses of 6 tensors, repeated": [str(key) for key in drawn.integers(0, 6, 24)],
        "64 layers in a cycle": [str(layer) for layer in range(64)],
        "no order": [str(key) for key in drawn.integers(0, 64, uses)],
    }
    rows = []
    for name, once in sequences.items():
        keys = (once * (uses // len(once) + 1))[:uses]
        row: dict[str, Any] = {"sequence": name}
        contest = Contest(Markov(), Gru())
        for which, forecaster in (("markov", Markov()), ("contest", contest)):
            started = time.process_time()
            row[which] = round(_forecast_share(forecaster, keys), 4)
            row[f"{which}_cpu_us_per_use"] = round((time.process_time() - started) / uses * 1e6)
        rows.append({**row, "gru_leads": contest.costly_leads, "gru_trained_uses": contest.trained_uses})
    return rows


def _forecast_share(forecaster: Forecaster, keys: Sequence[str]) -> float:
    right = 0
    for number, key in enumerate(keys):
        ahead = forecaster.ahead(1)
        right += number >= len(keys) // 2 and bool(ahead) and ahead[0][0] == key
        forecaster.saw(key)
    return right / (len(keys) - len(keys) // 2)


async def cyclic_loop(rounds: int = 12, *, prefetch: bool = True) -> dict[str, Any]:
    """Layers used in a cycle, room for half of them, a backend that takes 2 ms, 1 ms of work a layer.

    The first two rounds teach and are not counted.
    """
    layers = [from_numpy(np.full(LAYER_VALUES, number, np.float32)) for number in range(LAYERS)]
    size = layers[0].size_bytes
    cache = TensorCache((LAYERS // 2 - WAITING) * size if prefetch else LAYERS // 2 * size)
    chooser = Prefetch(Contest(Markov(), Gru()), WAITING) if prefetch else None
    fetching = Fetching(_Backend(layers), cache, chooser)
    for number in range(rounds + 2):
        if number == 2:
            fetching.counts = FetchCounts()
            if chooser is not None:
                chooser.counts = PrefetchCounts()
        for layer in layers:
            await fetching.get(layer.tensor_id)
            await asyncio.sleep(WORK_S)
    await fetching.close()
    ended = fetching.prefetch_counts()
    prefetched = ended.timely + ended.late + ended.wasted
    return {
        "hit_share": round(fetching.counts.hit_share, 4),
        "timely_share": round(ended.timely / prefetched, 4) if prefetched else None,
        "fetches": asdict(fetching.counts),
        "prefetch": asdict(ended),
    }


class _Backend:
    """Implements ``fetching.TensorSource``: everything after 2 ms."""

    def __init__(self, layers: Sequence[Tensor]) -> None:
        self._layers = {layer.tensor_id: layer for layer in layers}

    async def fetch(self, tensor_id: str) -> Tensor:
        await asyncio.sleep(BACKEND_S)
        try:
            return self._layers[tensor_id]
        except KeyError:
            raise TensorNotFound(tensor_id) from None
