"""Rendered examples in memory-mapped files, made once and read by every epoch. Called by the two corpora.

A corpus is a folder named after a digest of its recipe: another seed or another number of examples is another folder.
It appears whole or not at all, because it is renamed into place when it is finished.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Tell = Callable[[str, int, int], None]
"""What is being done, how far, of how much."""


@dataclass(frozen=True, slots=True)
class Corpus:
    """``values`` (examples, …), memory-mapped; ``labels`` (examples, columns); ``captions`` by caption number."""

    values: NDArray[Any]
    labels: NDArray[np.int64]
    captions: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True, slots=True)
class Recipe:
    """What a corpus is made of. ``facts`` must say everything that its content depends on."""

    name: str
    examples: int
    shape: tuple[int, ...]
    dtype: str
    label_columns: int
    captions: tuple[str, ...]
    facts: dict[str, Any]

    @property
    def digest(self) -> str:
        """Sixteen hexadecimal digits."""
        said = json.dumps([self.examples, self.shape, self.dtype, self.label_columns, self.captions, self.facts])
        return hashlib.blake2b(said.encode(), digest_size=8).hexdigest()


Example = tuple[NDArray[Any], Sequence[int]]


def rendered(recipe: Recipe, folder: Path, examples: Callable[[], Iterator[Example]], tell: Tell) -> Corpus:
    """Open the recipe's corpus under ``folder``; make it from ``examples`` when it is not there yet."""
    home = folder / f"{recipe.name}-{recipe.digest}"
    if not home.exists():
        _render(recipe, home, examples, tell)
    values = np.memmap(home / "values", recipe.dtype, "r", shape=(recipe.examples, *recipe.shape))
    return Corpus(values, np.load(home / "labels.npy"), recipe.captions)


def _render(recipe: Recipe, home: Path, examples: Callable[[], Iterator[Example]], tell: Tell) -> None:
    unfinished = home.with_name(f"{home.name}.{os.getpid()}.part")
    unfinished.mkdir(parents=True)
    try:
        values = np.memmap(unfinished / "values", recipe.dtype, "w+", shape=(recipe.examples, *recipe.shape))
        labels = np.zeros((recipe.examples, recipe.label_columns), dtype=np.int64)
        for row, (value, label) in enumerate(examples()):
            values[row], labels[row] = value, label
            tell(f"rendering {recipe.name}", row + 1, recipe.examples)
        values.flush()
        np.save(unfinished / "labels.npy", labels)
        unfinished.rename(home)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
