"""``aos tensor``: put tensors into this machine's store, get them back, look at what is there. No gateway needed."""

from collections.abc import Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from gateway.cli.bench.tensor import tensor as bench
from gateway.cli.terminal import session
from gateway.cli.terminal.bar import bar
from gateway.cli.terminal.failure import ExitCode, Failed
from gateway.cli.terminal.session import Json
from tensor_layer.errors import TensorDamaged, TensorLayerError, TensorNotFound, TensorRefused
from tensor_layer.stream import interchange
from tensor_layer.stream.choice import COLD, STREAMING
from tensor_layer.stream.lossy import Lossy
from tensor_layer.stream.packed_files import PackedFacts, PackedFiles, facts_json
from tensor_layer.stream.processor import StreamLimits, TensorStreamProcessor

app = typer.Typer(help="Put tensors into this machine's store, get them back, see how well they pack.")
app.command("bench")(bench)

T = TypeVar("T")
COLUMNS = ("tensor", "dtype", "shape", "bytes", "packed", "ratio", "codecs")
TensorId = Annotated[str, typer.Argument(help="Id of a tensor, as `aos tensor put` told it.")]
ROUNDED: dict[str, Lossy] = {"bf16": "bf16", "int8": "int8"}


@app.command()
def put(
    file: Annotated[Path, typer.Argument(help="A .safetensors, .arrow or .npy file.", dir_okay=False)],
    reference: Annotated[
        str | None, typer.Option(help="Id of a tensor that this one resembles: only the difference is stored.")
    ] = None,
    lossy: Annotated[
        str | None,
        typer.Option(
            help="Round float32 values: bf16 (each by at most 1/256 of itself) or int8 (by at most 1/254 of the "
            "largest of 4,096 neighbours).",
            metavar="bf16|int8",
        ),
    ] = None,
    cold: Annotated[bool, typer.Option("--cold", help="Pack smaller, at a quarter of the speed.")] = False,
    as_json: Json = False,
) -> None:
    """Store every tensor of a file; prints their ids and how well they packed."""
    if lossy is not None and lossy not in ROUNDED:
        raise Failed(f"--lossy is bf16 or int8, not {lossy}", exit_code=ExitCode.USAGE, code="wrong_option")
    limits = replace(StreamLimits(), budget=COLD if cold else STREAMING)

    async def work() -> list[tuple[str, PackedFacts]]:
        processor = TensorStreamProcessor(_folder(), limits)
        try:
            rounding = ROUNDED[lossy] if lossy else None
            facts, done = [], 0
            with bar(f"packing {file.name}", silent=as_json) as progress:
                for name, tensor in interchange.read(file):
                    facts.append((name, await processor.put(tensor, reference=reference, lossy=rounding)))
                    done += tensor.size_bytes
                    progress(done, file.stat().st_size)
            return facts
        finally:
            await processor.close()

    stored = _run(work())
    if as_json:
        session.print_json([{"name": name, **facts_json(facts)} for name, facts in stored])
        return
    rows = [(name, *_row(facts)) for name, facts in stored]
    session.print_table(("name", *COLUMNS), rows, "the file holds no tensors")


@app.command()
def get(
    tensor_id: TensorId,
    out: Annotated[Path, typer.Option(help="Where to: .npy, .safetensors or .arrow.", dir_okay=False)],
    as_json: Json = False,
) -> None:
    """Write a stored tensor to a file, bit for bit as it was stored."""

    async def work() -> dict[str, Any]:
        interchange.check_target(out)
        processor = TensorStreamProcessor(_folder())
        try:
            tensor = await processor.get(tensor_id)
        finally:
            await processor.close()
        interchange.write(out, [("tensor", tensor)])
        return {"tensor_id": tensor_id, "dtype": tensor.dtype, "shape": tensor.shape, "file": str(out)}

    told = _run(work())
    if as_json:
        session.print_json(told)
        return
    session.print_line(f"{told['dtype']} {list(told['shape'])} → {out}")


@app.command()
def stat(
    tensor_id: Annotated[str | None, typer.Argument(help="One tensor; left out, all of them.")] = None,
    as_json: Json = False,
) -> None:
    """What is stored: size, packed size, which codecs its chunks got; and how full the mapped folder is."""

    async def work() -> dict[str, Any]:
        processor = TensorStreamProcessor(_folder())
        packed = PackedFiles(_folder() / "packed")
        levels = await processor.stat()
        await processor.close()
        if tensor_id:
            return {"tensors": [packed.facts(tensor_id)], "damaged": {}, "mapped": levels["mapped"]}
        return {**_facts_of_all(packed), "mapped": levels["mapped"]}

    told = _run(work())
    if as_json:
        session.print_json({**told, "tensors": [facts_json(facts) for facts in told["tensors"]]})
        return
    session.print_table(COLUMNS, [_row(facts) for facts in told["tensors"]], "no tensors are stored")
    for problem in told["damaged"].values():
        session.print_line(problem)
    session.print_line(f"mapped: {told['mapped']['files']} files, {told['mapped']['used_bytes']} bytes")


def _facts_of_all(packed: PackedFiles) -> dict[str, Any]:
    """What is known of each tensor, and what is wrong with those that cannot be read."""
    tensors, damaged = [], {}
    for tensor_id in packed.ids():
        try:
            tensors.append(packed.facts(tensor_id))
        except TensorNotFound:  # removed meanwhile
            continue
        except TensorLayerError as error:
            damaged[tensor_id] = str(error)
    return {"tensors": tensors, "damaged": damaged}


def _run(work: Coroutine[Any, Any, T]) -> T:
    try:
        return session.run(work)
    except TensorNotFound as error:
        raise Failed(str(error), exit_code=ExitCode.NOT_FOUND, code=error.code, next_step="aos tensor stat") from error
    except TensorRefused as error:
        raise Failed(str(error), exit_code=ExitCode.USAGE, code=error.code) from error
    except TensorDamaged as error:
        raise Failed(str(error), code=error.code, next_step="put it again: aos tensor put FILE") from error
    except TensorLayerError as error:
        raise Failed(str(error), code=error.code) from error
    except OSError as error:
        raise Failed(f"{error.filename or 'a file'}: {error.strerror or error}", code="file_trouble") from error


def _folder() -> Path:
    return session.settings_from().settings.data_dir / "tensors"


def _row(facts: PackedFacts) -> tuple[object, ...]:
    shape = "×".join(str(length) for length in facts.shape) or "one number"
    codecs = ", ".join(f"{name} {count}" for name, count in facts.codecs.items())
    ratio = round(facts.raw_bytes / facts.packed_bytes, 3)
    return facts.tensor_id, facts.dtype, shape, facts.raw_bytes, facts.packed_bytes, ratio, codecs
