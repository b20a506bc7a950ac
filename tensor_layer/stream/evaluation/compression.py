"""How small and how fast: each codec alone, the adaptive choice, decoding, checkpoints. CPU-heavy, some seconds."""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from tensor_layer.stream import frames
from tensor_layer.stream.choice import COLD, STREAMING, Budget
from tensor_layer.stream.codecs import CODECS, RAW, Codec
from tensor_layer.stream.evaluation import corpus
from tensor_layer.stream.reader import unpack
from tensor_layer.stream.tensor import Tensor
from tensor_layer.stream.writer import Tally, pack

ROUNDS = 3


@dataclass(frozen=True, slots=True)
class Packing:
    """One tensor packed and unpacked. Speeds in MB of tensor per CPU-second, the best of three rounds."""

    what: str
    how: str
    ratio: float
    encode_mb_per_cpu_s: float
    decode_mb_per_cpu_s: float
    codecs: dict[str, int]


def packing(what: str, tensor: Tensor, budget: Budget, how: str, reference: Tensor | None = None) -> Packing:
    """Pack and unpack, proving that every bit came back."""
    tally = Tally()
    packed = b"".join(pack(tensor, budget=budget, reference=reference, tally=tally))
    encode_s = best(lambda: _drain(pack(tensor, budget=budget, reference=reference)))
    decode_s = best(lambda: unpack([packed], reference=reference))
    if unpack([packed], reference=reference).content() != tensor.content():
        raise AssertionError(f"{what} did not come back")  # a benchmark of a codec that loses bits says nothing
    speed = tensor.size_bytes / 1e6
    return Packing(
        what, how, round(tally.ratio, 4), round(speed / encode_s), round(speed / decode_s), tally.chunks_by_codec
    )


def lossless(share: int = 3) -> list[dict[str, Any]]:
    """Real weights at both settings, and a checkpoint beside the one before."""
    fp32 = corpus.real_weights(share)
    bf16 = corpus.as_bf16(fp32)
    after = corpus.as_bf16(corpus.checkpoint_after(fp32, steps=1, seed=1))
    found = [
        packing(name, tensor, budget, how)
        for name, tensor in (("bf16 weights", bf16), ("fp32 weights", fp32))
        for how, budget in (("streaming", STREAMING), ("cold", COLD))
    ]
    found.append(packing("bf16 checkpoint (simulated step)", after, STREAMING, "delta", reference=bf16))
    return [asdict(one) for one in found]


def single_codecs(share: int = 6) -> list[dict[str, Any]]:
    """Every codec by itself on the same chunks, without frames: the yardsticks of the same run."""
    fp32 = corpus.real_weights(share)
    rows = []
    for name, tensor in (("bf16 weights", corpus.as_bf16(fp32)), ("fp32 weights", fp32)):
        for codec in CODECS[1:]:
            size, encode_s, decode_s = _alone(tensor, codec)
            mb = tensor.size_bytes / 1e6
            rows.append(
                {
                    "what": name,
                    "codec": codec.name,
                    "ratio": round(tensor.size_bytes / size, 4),
                    "encode_mb_per_cpu_s": round(mb / encode_s),
                    "decode_mb_per_cpu_s": round(mb / decode_s),
                }
            )
    return rows


def adaptive() -> dict[str, Any]:
    """The adaptive choice against each codec used for everything, on the mixed corpus: sizes and CPU seconds."""
    tensors = corpus.mixed()
    result: dict[str, Any] = {"raw_bytes": sum(tensor.size_bytes for _, tensor in tensors)}
    for codec in CODECS[1:]:
        sizes = [_alone(tensor, codec, decode=False) for _, tensor in tensors]
        result[codec.name] = {"bytes": sum(s[0] for s in sizes), "encode_cpu_s": round(sum(s[1] for s in sizes), 3)}
    for how, budget in (("adaptive streaming", STREAMING), ("adaptive cold", COLD)):
        chosen: dict[str, dict[str, int]] = {}
        size, cpu_s = 0, 0.0
        for name, tensor in tensors:
            tally = Tally()
            started = time.process_time()
            _drain(pack(tensor, budget=budget, tally=tally))
            cpu_s += time.process_time() - started
            size += tally.packed_bytes
            chosen[name] = tally.chunks_by_codec
        result[how] = {"bytes": size, "encode_cpu_s": round(cpu_s, 3), "chosen": chosen}
    names = [codec.name for codec in CODECS[1:]]
    best_single = min(names, key=lambda name: int(result[name]["bytes"]))
    result["best_single"] = best_single
    for how in ("adaptive streaming", "adaptive cold"):
        result[how]["size_over_best_single"] = round(result[how]["bytes"] / result[best_single]["bytes"], 4)
        result[how]["time_over_best_single"] = round(
            result[how]["encode_cpu_s"] / result[best_single]["encode_cpu_s"], 3
        )
    return result


def best(action: Callable[[], object], rounds: int = ROUNDS) -> float:
    """CPU seconds of the quickest of some rounds: neighbours on a shared machine only ever add."""
    return min(cpu_seconds(action) for _ in range(rounds))


def cpu_seconds(action: Callable[[], object]) -> float:
    """CPU seconds of this process, at least a microsecond."""
    started = time.process_time()
    action()
    return max(time.process_time() - started, 1e-6)


def _alone(tensor: Tensor, codec: Codec, *, decode: bool = True) -> tuple[int, float, float]:
    words = tensor.words()
    each = frames.CHUNK_BYTES // words.dtype.itemsize
    chunks: Sequence[Any] = [words[start : start + each] for start in range(0, words.size, each)]
    used = codec if codec.takes(tensor.dtype) else RAW
    coded: list[bytes] = []

    def encode() -> None:
        coded[:] = [used.encode(chunk, tensor.dtype) for chunk in chunks]

    def decode_all() -> None:
        for packed, chunk in zip(coded, chunks, strict=True):
            used.decode(memoryview(packed), into[: chunk.size], tensor.dtype)

    into = np.empty(each, words.dtype)
    encode_s = best(encode, 2)
    return sum(map(len, coded)), encode_s, best(decode_all, 2) if decode else 0.0


def _drain(pieces: Any) -> None:  # noqa: ANN401 - an iterator
    for _ in pieces:
        pass
