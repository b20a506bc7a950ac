"""Further mixed corpora to pack, beside ``tensor_layer.stream.evaluation.corpus``. Called by ``benchmarks.tensors``."""

import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import sympy
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn.datasets import load_digits, load_sample_images
from sklearn.feature_extraction.text import TfidfVectorizer
from tokenizers import Tokenizer

from tensor_layer.stream.evaluation import corpus
from tensor_layer.stream.lossy import to_bf16
from tensor_layer.stream.tensor import Tensor, from_numpy


def second_corpus() -> list[tuple[str, Tensor]]:
    """Two photographs, numpy's sources, and made-up tensors. `columns` was written after a look at its sound."""
    rng, million = np.random.default_rng(5), 1 << 20
    normal = rng.standard_normal(2 * million, dtype=np.float32)
    sources = b"".join(file.read_bytes() for file in sorted(Path(np.__file__).parent.rglob("*.py")))[: 4 * million]
    time_s = np.arange(2 * million) / 16_000
    sound = 3000 * np.sin(2 * np.pi * 200 * time_s) * np.abs(np.sin(3 * time_s)) + 200 * rng.standard_normal(
        2 * million
    )
    scales = np.tile(np.exp(rng.standard_normal(128)).astype(np.float32), len(normal) // 128)
    rows = rng.standard_normal((2730, 384), dtype=np.float32)
    weights = corpus.real_weights(share=9).array.reshape(-1)
    labels = np.where(rng.random(million // 2) < 0.6, -100, rng.zipf(1.4, million // 2).clip(max=30_000))
    gradients = rng.standard_normal(million, dtype=np.float32) * np.exp(
        2 * rng.standard_normal(million, dtype=np.float32)
    )
    return [
        ("camera pixels", from_numpy(np.concatenate([image.reshape(-1) for image in load_sample_images().images]))),
        ("source text", from_numpy(np.frombuffer(sources, np.uint8))),
        ("gelu float16", from_numpy((normal / (1 + np.exp(-1.7 * normal))).astype(np.float16))),
        ("keys and values bf16", from_numpy(to_bf16(normal * scales), "bfloat16")),
        ("int8 weights", from_numpy(np.clip(np.rint(weights / weights.std() * 30), -127, 127).astype(np.int8))),
        ("positions int32", from_numpy(np.tile(np.arange(512, dtype=np.int32), 2048))),
        ("labels int64", from_numpy(labels.astype(np.int64))),
        ("sound int16", from_numpy(sound.astype(np.int16))),
        ("row offsets int64", from_numpy(np.cumsum(rng.poisson(9, million // 2)).astype(np.int64))),
        ("digits float64", from_numpy(load_digits().data)),
        ("unit rows fp32", from_numpy(rows / np.linalg.norm(rows, axis=1, keepdims=True))),
        ("gradients fp32", from_numpy(gradients * np.float32(1e-4))),
        ("random bytes", from_numpy(rng.integers(0, 256, 2 * million, np.uint8))),
        ("random mask", from_numpy(rng.random(4 * million) < 0.3)),
    ]


def third_corpus() -> list[tuple[str, Tensor]]:
    """Speech, sources, machine code, a drawing, word counts, token ids, and made-up tensors.

    Put together after `columns` was written; its token ids taught one rule (no allowance for `columns`), nothing else.
    """
    rng, million = np.random.default_rng(77), 1 << 20
    texts = [file.read_text() for file in sorted(Path(sympy.__file__).parent.rglob("*.py"))]
    sources = "".join(texts).encode()[: 3 * million]
    counts = TfidfVectorizer(max_features=20_000, ngram_range=(1, 2)).fit_transform(texts[:250])
    tokenizer = Tokenizer.from_file(str(corpus.weights_file().parent / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    ids = np.array(tokenizer.encode(sources[:900_000].decode(errors="replace")).ids)
    library = max(Path(np.__file__).parent.rglob("*.so"), key=lambda file: file.stat().st_size)
    y, x = np.mgrid[0:1024, 0:1024] / 1024
    depth = 20_000 + 9000 * np.sin(7 * x + 3 * y) * np.cos(5 * y) + rng.normal(0, 6, x.shape)
    attention = np.exp(3 * rng.standard_normal((2048, 512), dtype=np.float32))
    spread, gradients = rng.standard_normal((2, million), dtype=np.float32)
    return [
        ("speech int16", from_numpy(_speech())),
        ("source text", from_numpy(np.frombuffer(sources, np.uint8))),
        ("machine code", from_numpy(np.fromfile(library, np.uint8, 3 * million))),
        ("drawing", from_numpy(_drawing(rng))),
        ("columns of counts int32", from_numpy(counts.indices.astype(np.int32))),
        ("rows of counts int64", from_numpy(counts.indptr.astype(np.int64))),
        ("tf-idf float64", from_numpy(counts.data)),
        ("token ids int64", from_numpy(ids.astype(np.int64))),
        ("token ids int32", from_numpy(ids.astype(np.int32))),
        ("depth uint16", from_numpy(depth.astype(np.uint16))),
        ("prices float64", from_numpy(np.round(100 * np.exp(np.cumsum(rng.normal(0, 1e-4, million // 2))), 2))),
        ("counts int32", from_numpy(rng.poisson(3, million).astype(np.int32))),
        ("permutation int64", from_numpy(rng.permutation(million // 2))),
        ("softmax fp32", from_numpy(attention / attention.sum(1, keepdims=True))),
        ("second moments fp32", from_numpy(np.float32(1e-8) * np.exp(spread) * np.square(gradients))),
        ("residuals bf16", from_numpy(to_bf16(rng.standard_t(4, 2 * million).astype(np.float32)), "bfloat16")),
        ("buckets int16", from_numpy(rng.integers(0, 1000, 2 * million).astype(np.int16))),
        ("rare mask", from_numpy(rng.random(2 * million) < 0.05)),
    ]


def _speech() -> NDArray[Any]:
    """(n,) int16 at 22,050 Hz: the README read by espeak-ng."""
    words = "".join(letter if letter.isalpha() else " " for letter in Path("README.md").read_text())[:2600]
    wav = subprocess.run(["espeak-ng", "--stdout", words], capture_output=True, check=True).stdout
    return np.frombuffer(wav[44:], "<i2")[: 1 << 21]


def _drawing(rng: np.random.Generator) -> NDArray[Any]:
    """(960, 1200, 4) uint8: curves and points as matplotlib draws them."""
    figure = Figure(figsize=(10, 8), dpi=120)
    axes = figure.add_subplot()
    axes.plot(np.cumsum(rng.standard_normal((2000, 6)), axis=0))
    axes.scatter(*(500 * rng.random((2, 300))))
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.array(canvas.buffer_rgba())


CORPORA = {"second": second_corpus, "third": third_corpus}
