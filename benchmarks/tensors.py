"""What ``aos bench tensor`` cannot ship: S3-FIFO beside its authors' library (GPL), a real fine-tuning run, and two
further mixed corpora.

Run: python -m benchmarks.tensors [TRACE], or python -m benchmarks.tensors second|third. TRACE holds one object number a
line, such as data/cloudPhysicsIO.txt of https://github.com/1a1a11a/libCacheSim. It needs ``pip install --no-deps
libcachesim``; numbers: docs/tensors.md.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from benchmarks.tensor_corpora import CORPORA
from tensor_layer.encoding.devices import ready
from tensor_layer.stream.choice import STREAMING
from tensor_layer.stream.evaluation import caching, compression, corpus
from tensor_layer.stream.tensor import Tensor, from_torch

STEPS = 4
LEARNING_RATE = 2e-5


def main(trace: Path | None) -> None:
    """Print one JSON document."""
    traces = {"zipf 1.0": caching.zipf_trace(), "zipf 0.8": caching.zipf_trace(skew=0.8, seed=2)}
    if trace is not None:
        traces[trace.name] = caching.read_trace(trace)
    figures = {
        "cache": {name: against_library(numbers) for name, numbers in traces.items()},
        "checkpoints": fine_tuning(),
    }
    print(json.dumps(figures, indent=2))


def against_library(trace: Sequence[int]) -> list[dict[str, float]]:
    """Our hit rate, theirs, and the difference in points."""
    import libcachesim  # GPL-3.0: here and in tests only, never a dependency

    rows = []
    for row in caching.hit_rates(trace, shares=(0.01, 0.05, 0.2)):
        theirs, request, hits = libcachesim.S3FIFO(int(row["objects"])), libcachesim.Request(), 0
        for number in trace:
            request.obj_id, request.obj_size = number, 1
            hits += theirs.get(request)
        share = hits / len(trace)
        rows.append({**row, "libcachesim": round(share, 4), "points": round(100 * (row["s3fifo"] - share), 2)})
    return rows


def fine_tuning() -> list[dict[str, object]]:
    """MiniLM fine-tuned for some real AdamW steps on sentences of the README; each bf16 checkpoint beside the last."""
    ready()
    from transformers import AutoModel, AutoTokenizer

    torch.manual_seed(1)
    torch.set_num_threads(1)
    folder = corpus.weights_file().parent
    tokens = AutoTokenizer.from_pretrained(folder)
    model = AutoModel.from_pretrained(folder)
    texts = [line for line in Path("README.md").read_text().splitlines() if len(line) > 40][: 8 * (STEPS + 1)]
    optimiser = torch.optim.AdamW(model.parameters(), LEARNING_RATE)
    last, rows = checkpoint(model), []
    for step in range(STEPS):
        batch = tokens(
            texts[8 * step : 8 * step + 8], padding=True, truncation=True, max_length=48, return_tensors="pt"
        )
        both = [model(**batch).last_hidden_state[:, 0] for _ in range(2)]  # two passes differ by dropout (SimCSE)
        alike = torch.nn.functional.cosine_similarity(both[0][:, None], both[1][None], dim=-1) / 0.05
        loss = torch.nn.functional.cross_entropy(alike, torch.arange(len(alike)))
        loss.backward()
        optimiser.step()
        optimiser.zero_grad()
        now = checkpoint(model)
        one = compression.packing(f"step {step + 1}, loss {float(loss):.3f}", now, STREAMING, "delta", reference=last)
        changed = float(np.mean(now.array != last.array))
        rows.append({"what": one.what, "ratio": one.ratio, "changed": round(changed, 4), "codecs": one.codecs})
        last = now
    return rows


def checkpoint(model: torch.nn.Module) -> Tensor:
    """All weights as one bf16 tensor."""
    joined = torch.cat([weights.detach().reshape(-1) for weights in model.parameters()])
    return from_torch(joined.to(torch.bfloat16))


if __name__ == "__main__":
    if sys.argv[1:] and sys.argv[1] in CORPORA:
        print(json.dumps(compression.adaptive(CORPORA[sys.argv[1]]()), indent=2))
    else:
        main(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
