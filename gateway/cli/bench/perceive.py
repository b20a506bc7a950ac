"""``aos bench perceive``: how long encoding takes and what batching gains, measured here and now."""

import os
from typing import Annotated, Any

import typer

from gateway.cli.terminal import session
from gateway.cli.terminal.failure import Failed
from gateway.cli.terminal.session import Json
from tensor_layer.errors import EncoderUnavailable

Setting = Annotated[str, typer.Option(help="As in [perception] of aos.toml.")]


def perceive(
    text: Setting = "shipped",
    image: Setting = "shipped",
    audio: Setting = "shipped",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda:0 …")] = "auto",
    dtype: Annotated[str, typer.Option(help="float32 or bfloat16; auto is each encoder's own.")] = "auto",
    threads: Annotated[int, typer.Option(help="Batches computed at once on a CPU; 0 for all cores.", min=0)] = 0,
    samples: Annotated[int, typer.Option(help="Contents measured one by one.", min=1, max=10_000)] = 64,
    seed: Annotated[int, typer.Option(help="Same seed, same contents.", min=0)] = 0,
    as_json: Json = False,
) -> None:
    """One content at a time, sixteen clients at once, and a percept that is remembered."""
    # lazy: torch and the perception stack
    from tensor_layer.evaluation import serving
    from tensor_layer.wiring import EncoderChoice

    if dtype not in ("auto", "float32", "bfloat16"):
        raise Failed(f"{dtype} is no number format here: float32 or bfloat16", code="option_invalid")
    chosen: Any = None if dtype == "auto" else dtype
    choice = EncoderChoice(text, image, audio, device, chosen, threads or len(os.sched_getaffinity(0)))
    try:
        figures = session.run(serving.measure(choice, samples, seed))
    except EncoderUnavailable as error:
        raise Failed(str(error), code=error.code) from error
    if as_json:
        session.print_json(figures)
        return
    rows = [
        (modality, *(figures[modality][name] for name in _COLUMNS))
        for modality in ("text", "image", "audio")
        if figures[modality] is not None
    ]
    session.print_table(("what", *(name.replace("_", " ") for name in _COLUMNS)), rows, "")
    if "batching_times_sentence_transformers" in figures["text"]:
        plain, times = (figures["text"][name] for name in _AGAINST_PLAIN)
        session.print_line(
            f"SentenceTransformer.encode one at a time: {plain} texts/s; 16 clients here are {times} x that"
        )
    cached = figures["cached_percept"]
    session.print_line(f"cached percept: {cached['wall_ms_p50']} ms p50 (CPU {cached['cpu_ms_p50']} ms)")
    session.print_line(f"memory, all models loaded: {figures['memory_peak_mb']} MB at most")


_AGAINST_PLAIN = ("sentence_transformers_one_at_a_time_per_s", "batching_times_sentence_transformers")
_COLUMNS = (
    "one_wall_ms_p50",
    "one_cpu_ms_p50",
    "one_at_a_time_per_s",
    "16_clients_per_s",
    "batching_times_throughput",
    "batching_times_less_cpu",
)
