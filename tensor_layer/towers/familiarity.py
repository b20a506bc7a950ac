"""How near a picture or a sound is to what its tower was trained on. Read by ``looking`` and ``listening``; fitted by
``acquaintance``. numpy alone.

The distance is Mahalanobis' from the centre of the kind that the tower sees, with the kind's own covariance shrunk
towards all kinds' (Lee et al. 2018). It becomes a number between 0 and 1 by comparing it with held-out examples of that
kind (conformal p-values, Bates et al. 2023): 0.05 says that of 100 such examples 5 lie as far out.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from tensor_layer.errors import EncoderUnavailable
from tensor_layer.ports import Vector
from tensor_layer.towers.weights import Arrays, read_card, read_weights

OWN_SHARE = 0.5
"""How much of a kind's covariance is its own; the rest is that of all kinds."""
RIDGE = 0.01
QUANTILES = np.linspace(0, 1, 101)
EXAMPLES_MIN = 20
"""A kind that held-out examples show less often is compared with the examples of all kinds."""

Kinds = NDArray[np.int64]


@dataclass(frozen=True)
class Familiarity:
    """``scale`` (traits,), ``centres`` (kinds, traits), ``whiteners`` (kinds, traits, traits) lower triangular,
    ``distances`` (kinds, 101): quantiles of the held-out examples' distances.
    """

    scale: Vector
    centres: Vector
    whiteners: Vector
    distances: Vector

    @classmethod
    def fit(cls, traits: Vector, kinds: Kinds, count: int) -> Self:
        """From training examples: (n, traits) float32 and their true kinds, each below ``count`` and none without one.

        Numbers are rounded as the file will hold them. ``calibrated`` must follow.
        """
        scale = _half(traits.std(axis=0) + 1e-3)
        scaled = (traits / scale).astype(np.float64)
        centres = np.stack([scaled[kinds == kind].mean(axis=0) for kind in range(count)])
        around = scaled - centres[kinds]
        shared = around.T @ around / len(around)
        whiteners = np.stack([_whitener(around[kinds == kind], shared) for kind in range(count)])
        return cls(scale, _half(centres), _half(whiteners), np.zeros((count, len(QUANTILES)), dtype=np.float32))

    def calibrated(self, traits: Vector, kinds: Kinds) -> Self:
        """With the distances of held-out examples, whose ``kinds`` are what the tower takes them for."""
        measured = self._distances(traits, kinds)
        rows = []
        for kind in range(len(self.centres)):
            own = measured[kinds == kind]
            rows.append(np.quantile(own if len(own) >= EXAMPLES_MIN else measured, QUANTILES))
        return type(self)(self.scale, self.centres, self.whiteners, _half(np.stack(rows)))

    def of(self, traits: Vector, kinds: Kinds) -> Vector:
        """(n,) float32 between 0 and 1: how large a share of held-out examples of the kind lies as far out."""
        measured = self._distances(traits, kinds)
        inside = [np.interp(at, self.distances[kind], QUANTILES) for at, kind in zip(measured, kinds, strict=True)]
        return np.array([1.0 - share for share in inside], dtype=np.float32)

    def arrays(self) -> Arrays:
        """What ``read`` needs; of the triangles only the halves that are not zero."""
        return {
            "scale": self.scale,
            "centres": self.centres,
            "whiteners": self.whiteners[:, *np.tril_indices(len(self.scale))],
            "distances": self.distances,
        }

    @classmethod
    def read(cls, file: Path, tower: Path) -> Self:
        """Raises EncoderUnavailable, also when the file was made for another version of the tower."""
        if read_card(file).space != read_card(tower).version:
            raise EncoderUnavailable(
                f"{file} tells what another tower than {tower} was trained on: aos train towers --only familiarity"
            )
        arrays = read_weights(file)
        kinds, traits = arrays["centres"].shape
        whiteners = np.zeros((kinds, traits, traits), dtype=np.float32)
        whiteners[:, *np.tril_indices(traits)] = arrays["whiteners"]
        return cls(arrays["scale"], arrays["centres"], whiteners, arrays["distances"])

    def _distances(self, traits: Vector, kinds: Kinds) -> Vector:
        away = traits / self.scale - self.centres[kinds]
        whitened = np.stack([row @ self.whiteners[kind] for row, kind in zip(away, kinds, strict=True)])
        lengths: Vector = np.linalg.norm(whitened, axis=1)
        return lengths


def beside(tower: Path) -> Path:
    """Where the familiarity of a tower's weights file is kept: next to it."""
    return tower.with_name(tower.name.replace("tower", "familiarity"))


def for_tower(tower: Path) -> Familiarity | None:
    """What is kept beside the tower, or None. Raises EncoderUnavailable."""
    file = beside(tower)
    return Familiarity.read(file, tower) if file.exists() else None


def _whitener(around: NDArray[np.float64], shared: NDArray[np.float64]) -> NDArray[np.float64]:
    mixed = OWN_SHARE * (around.T @ around / len(around)) + (1 - OWN_SHARE) * shared
    ridge = RIDGE * np.trace(mixed) / len(mixed)
    whitener: NDArray[np.float64] = np.linalg.cholesky(np.linalg.inv((1 - RIDGE) * mixed + ridge * np.eye(len(mixed))))
    return whitener


def _half(numbers: NDArray[np.floating]) -> Vector:
    return np.asarray(numbers, dtype=np.float16).astype(np.float32)
