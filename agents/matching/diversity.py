"""Several agents that are good and not all alike, when several are asked for. For whoever has ranked candidates.

Maximal marginal relevance (Carbonell and Goldstein 1998): one after the other, each time the agent whose value, less
how like it is to those already taken, is greatest. The first is always the best one.
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Rows = NDArray[np.int64]

LIKENESS_COUNTS = 0.3
"""Of an agent's value: a perfect double of one already taken is worth so much less."""


def diverse(
    values: Floats, vectors: Floats, count: int, likeness_counts: float = LIKENESS_COUNTS, usual_likeness: float = 0.0
) -> Rows:
    """(at most ``count``,) places of the chosen candidates, in the order in which they were chosen.

    ``values`` (candidates,) of any scale, more is better; ``vectors`` (candidates, d) unit-norm say what each is like.
    With ``likeness_counts`` 0 it is the plain order by value; ties go to the earlier candidate. Only what is more alike
    than ``usual_likeness`` (a cosine below 1) counts: agents near the same words are alike to some degree.
    """
    if not 0.0 <= likeness_counts <= 1.0:
        raise ValueError(f"likeness_counts is {likeness_counts}; expected 0 to 1")
    places = np.arange(len(values))
    scaled = _scaled(values)
    likest = np.full(len(values), -np.inf)
    chosen: list[int] = []
    for _ in range(min(count, len(values))):
        worth = scaled - likeness_counts * np.maximum(likest - usual_likeness, 0.0) / (1.0 - usual_likeness)
        place = int(np.where(np.isin(places, chosen), -np.inf, worth).argmax())
        chosen.append(place)
        likest = np.maximum(likest, vectors @ vectors[place])
    return np.array(chosen, dtype=np.int64)


def _scaled(values: Floats) -> NDArray[np.float64]:
    """0 for the worst to 1 for the best, so that likeness counts the same whatever the scale."""
    span = float(np.ptp(values)) if len(values) else 0.0
    if span <= 0.0:
        return np.ones(len(values))
    scaled: NDArray[np.float64] = (values - values.min()).astype(np.float64) / span
    return scaled
