"""Tower weights as safetensors files: written by training, read by serving. Those in ``weights`` ship with us.

A file says in its metadata what it is: ``name``, ``version`` (a digest of the numbers), ``space`` (the text encoder it
was trained to agree with), ``licence`` and how it was made.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load_file, save_file

from tensor_layer.errors import EncoderUnavailable

SHIPPED = Path(__file__).parent / "weights"
LICENCE = "Apache-2.0"
Arrays = dict[str, NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class WeightsCard:
    """What a weights file says of itself."""

    name: str
    version: str
    space: str
    dimension: int
    licence: str
    made_by: str


def save_weights(file: Path, arrays: Mapping[str, NDArray[np.float32]], card: Mapping[str, str | int]) -> None:
    """Write ``arrays`` as float16. ``card`` holds name, space, dimension and made_by; the version is computed."""
    halves = {name: np.ascontiguousarray(array, dtype=np.float16) for name, array in arrays.items()}
    digest = hashlib.blake2b(digest_size=6)
    for name in sorted(halves):
        digest.update(name.encode())
        digest.update(halves[name].tobytes())
    metadata = {"licence": LICENCE, **{name: str(value) for name, value in card.items()}, "version": digest.hexdigest()}
    file.parent.mkdir(parents=True, exist_ok=True)
    unfinished = file.with_suffix(".part")
    save_file(halves, unfinished, metadata=metadata)
    unfinished.chmod(0o644)  # safetensors makes private files; these are for whoever runs the project
    unfinished.replace(file)


def read_card(file: Path) -> WeightsCard:
    """The card alone: reads the first kilobytes, no numbers. Raises EncoderUnavailable."""
    try:
        with safe_open(file, "numpy") as opened:
            said = opened.metadata() or {}
        return WeightsCard(
            name=said["name"],
            version=said["version"],
            space=said["space"],
            dimension=int(said["dimension"]),
            licence=said["licence"],
            made_by=said["made_by"],
        )
    except (OSError, KeyError, ValueError, SafetensorError) as error:
        raise EncoderUnavailable(f"{_lacking(file)} ({error})") from error


def read_weights(file: Path) -> Arrays:
    """All arrays as float32. Raises EncoderUnavailable."""
    try:
        return {name: np.asarray(array, dtype=np.float32) for name, array in load_file(file).items()}
    except (OSError, ValueError, SafetensorError) as error:
        raise EncoderUnavailable(f"{_lacking(file)} ({error})") from error


def described_training(**facts: object) -> str:
    """How weights were made, for ``made_by``."""
    return json.dumps(facts, default=str)


def _lacking(file: Path) -> str:
    return f"the tower's weights in {file} do not load: install the project again, or make them with aos train towers"
