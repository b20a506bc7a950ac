"""``aos bench tensor``: packing, caching, prefetching and passing tensors, measured here and now on real weights."""

import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer

from gateway.cli.terminal import session
from gateway.cli.terminal.failure import Failed
from gateway.cli.terminal.session import Json
from gateway.embedded.nats_server import NatsServer
from tensor_layer.errors import EncoderUnavailable

Trace = Annotated[
    Path | None, typer.Option(help="A cache trace, one object number a line.", exists=True, dir_okay=False)
]


def tensor(
    share: Annotated[int, typer.Option(help="Measure on every n-th 2 MiB of the weights.", min=1, max=20)] = 3,
    megabytes: Annotated[int, typer.Option(help="Size of the tensor passed between processes.", min=2)] = 100,
    trace: Trace = None,
    as_json: Json = False,
) -> None:
    """How small, how fast, how often cached, and how quickly handed over. Speeds are MB per CPU-second."""
    # lazy: blosc2, pcodec and friends take half a second that --help need not pay
    from tensor_layer.stream.evaluation import caching, compression

    try:
        figures: dict[str, Any] = {
            "packing": compression.lossless(share),
            "single_codecs": compression.single_codecs(2 * share),
            "adaptive": compression.adaptive(),
        }
    except EncoderUnavailable as error:
        raise Failed(str(error), code=error.code) from error
    numbers = caching.zipf_trace() if trace is None else caching.read_trace(trace)
    figures["cache"] = {"trace": str(trace or "zipf 1.0"), "hit_rates": caching.hit_rates(numbers)}
    figures["cyclic_loop"] = session.run(caching.cyclic_loop())
    figures["forecasts"] = caching.forecasts()
    figures["passing"] = session.run(_passing(megabytes * 1_000_000))
    if as_json:
        session.print_json(figures)
        return
    _show(figures)


async def _passing(size_bytes: int) -> dict[str, Any]:
    from tensor_layer.stream.evaluation import passing  # lazy, as above

    with tempfile.TemporaryDirectory(prefix="aos-bench-") as folder:
        server = NatsServer(Path(folder) / "nats", sync_interval="2m")
        await server.start()
        try:
            return await passing.compare(server.url, Path(folder) / "tensors", size_bytes)
        finally:
            await server.stop()


def _show(figures: dict[str, Any]) -> None:
    packing = [tuple(one.values()) for one in figures["packing"]]
    session.print_table(("what", "how", "ratio", "encode MB/CPU-s", "decode", "chunks"), packing, "")
    single = [tuple(one.values()) for one in figures["single_codecs"]]
    session.print_table(("what", "codec alone", "ratio", "encode MB/CPU-s", "decode"), single, "")
    adaptive = figures["adaptive"]
    for how in ("adaptive streaming", "adaptive cold"):
        for which, share in adaptive[how]["against"].items():
            session.print_line(
                f"{how}: {share['size_share']} of the size and {share['time_share']} of the time of "
                f"{share['codec']} for everything, the {which}"
            )
    for row in figures["cache"]["hit_rates"]:
        session.print_line(f"cache of {row['objects']} objects: S3-FIFO hits {row['s3fifo']}, LRU {row['lru']}")
    loop = figures["cyclic_loop"]
    session.print_line(f"cyclic loop: hits {loop['hit_share']}, prefetches in time {loop['timely_share']}")
    for row in figures["forecasts"]:
        session.print_line(f"{row['sequence']}: next use forecast {row['markov']}, with the GRU {row['contest']}")
    for way, times in figures["passing"]["times_faster_than_bus"].items():
        grown = figures["passing"]["receiver_own_memory_peak_bytes"][way]
        session.print_line(f"{way}: {times}x the bus, receiver's own memory +{grown} bytes")
