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

ROUNDS = 5


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
        for codec in (codec for codec in CODECS[1:] if codec.takes(tensor.dtype)):
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


def adaptive(tensors: Sequence[tuple[str, Tensor]] | None = None) -> dict[str, Any]:
    """The adaptive choice against each codec used for everything, on the mixed corpus: sizes and CPU seconds.

    All ways make the same frames with the same checks. Rounds of all ways take turns, and of each tensor the quickest
    round counts, so that a busy neighbour does not decide.
    """
    tensors = tensors or corpus.mixed()
    ways = [*(_Way(codec.name, codec=codec) for codec in CODECS[1:]), *(_Way(*one) for one in _BUDGETS)]
    for _ in range(ROUNDS):
        for name, tensor in tensors:
            for way in ways:
                way.measure(name, tensor)
    found: dict[str, Any] = {way.name: way.found() for way in ways}
    for name, budget in _BUDGETS:
        found[name]["against"] = {
            "smallest": _against(found, name, CODECS[1:]),
            "smallest within the budget": _against(
                found, name, [codec for codec in CODECS[1:] if codec.mb_per_cpu_s >= budget.mb_per_cpu_s]
            ),
        }
    return {"raw_bytes": sum(tensor.size_bytes for _, tensor in tensors), **found}


_BUDGETS = (("adaptive streaming", STREAMING), ("adaptive cold", COLD))


def _against(found: dict[str, Any], name: str, singles: Sequence[Codec]) -> dict[str, Any]:
    """Size and time as shares of those of the single codec that makes the corpus smallest."""
    single = min((codec.name for codec in singles), key=lambda one: int(found[one]["bytes"]))
    return {
        "codec": single,
        "size_share": round(found[name]["bytes"] / found[single]["bytes"], 4),
        "time_share": round(found[name]["encode_cpu_s"] / found[single]["encode_cpu_s"], 3),
    }


class _Way:
    """One way to pack the corpus: with one codec for whatever it takes, or choosing within a budget."""

    def __init__(self, name: str, budget: Budget = STREAMING, codec: Codec | None = None) -> None:
        self.name = name
        self._budget, self._codec = budget, codec
        self._bytes: dict[str, int] = {}
        self._cpu_s: dict[str, float] = {}
        self._chosen: dict[str, dict[str, int]] = {}

    def measure(self, what: str, tensor: Tensor) -> None:
        """Pack one tensor once."""
        tally = Tally()
        single = self._codec
        if single is None:
            cpu_s = cpu_seconds(lambda: _drain(pack(tensor, budget=self._budget, tally=tally)))
            self._chosen[what] = tally.chunks_by_codec
        else:
            cpu_s = cpu_seconds(lambda: _framed(tensor, single, tally))
        self._bytes[what] = tally.packed_bytes
        self._cpu_s[what] = min(cpu_s, self._cpu_s.get(what, cpu_s))

    def found(self) -> dict[str, Any]:
        """Sums over the corpus."""
        sums = {"bytes": sum(self._bytes.values()), "encode_cpu_s": round(sum(self._cpu_s.values()), 4)}
        return {**sums, "chosen": self._chosen} if self._chosen else sums


def _framed(tensor: Tensor, codec: Codec, tally: Tally) -> None:
    words, used = tensor.words(), codec if codec.takes(tensor.dtype) else RAW
    each = frames.CHUNK_BYTES // words.dtype.itemsize
    for number, start in enumerate(range(0, words.size, each)):
        chunk = words[start : start + each]
        check = frames.check(chunk)
        coded = used.encode(chunk, tensor.dtype)
        known = check if used is RAW else None
        frame = frames.Frame(number, used.code, frames.PLAIN, chunk.nbytes, check, coded, check_coded=known)
        tally.packed_bytes += sum(map(len, frame.pack()))


def best(action: Callable[[], object], rounds: int = ROUNDS) -> float:
    """CPU seconds of the quickest of some rounds: neighbours on a shared machine only ever add."""
    return min(cpu_seconds(action) for _ in range(rounds))


def cpu_seconds(action: Callable[[], object]) -> float:
    """CPU seconds of this process, at least a microsecond."""
    started = time.process_time()
    action()
    return max(time.process_time() - started, 1e-6)


def _alone(tensor: Tensor, codec: Codec) -> tuple[int, float, float]:
    words = tensor.words()
    each = frames.CHUNK_BYTES // words.dtype.itemsize
    chunks: Sequence[Any] = [words[start : start + each] for start in range(0, words.size, each)]
    used = codec if codec.takes(tensor.dtype) else RAW
    coded: list[bytes | memoryview] = []

    def encode() -> None:
        coded[:] = [used.encode(chunk, tensor.dtype) for chunk in chunks]

    def decode_all() -> None:
        for packed, chunk in zip(coded, chunks, strict=True):
            used.decode(memoryview(packed), into[: chunk.size], tensor.dtype)

    into = np.empty(each, words.dtype)
    encode_s = best(encode, 2)
    return sum(map(len, coded)), encode_s, best(decode_all, 2)


def _drain(pieces: Any) -> None:  # noqa: ANN401 - an iterator
    for _ in pieces:
        pass
