"""The probability that nobody fits: calibrated, and the same after a journey through JSON."""

import json

import numpy as np
import pytest

from agents.matching.learning import scope
from agents.matching.learning.scope import COLUMNS, SPEAKS_FOR_NOBODY, Scope, ScopeUnreadable


def asked(rows: int, outside_share: float = 0.3, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    outside = rng.random(rows) < outside_share
    features = rng.normal(size=(rows, len(COLUMNS))).astype(np.float32)
    for column, name in enumerate(COLUMNS):
        features[:, column] += (0.6 if name in SPEAKS_FOR_NOBODY else -0.6) * outside
    return features, outside


def test_probabilities_are_calibrated():
    fitted = scope.fit(*asked(2_000))
    features, outside = asked(4_000, seed=1)
    told = fitted.probability(features)
    for low in (0.0, 0.2, 0.4, 0.6, 0.8):
        among = (told >= low) & (told < low + 0.2)
        if among.sum() >= 100:
            assert outside[among].mean() == pytest.approx(told[among].mean(), abs=0.12)


def test_nearness_never_speaks_for_nobody():
    features, outside = asked(300)
    weights = dict(zip(COLUMNS, scope.fit(-features, outside).weights, strict=True))
    assert all(weight >= 0 if name in SPEAKS_FOR_NOBODY else weight <= 0 for name, weight in weights.items())


def test_without_examples_only_what_is_strange_to_all_counts():
    features, outside = asked(1_000)
    fitted = scope.fit_without_examples(features, outside)
    counted = {name for name, weight in zip(COLUMNS, fitted.weights, strict=True) if weight}
    assert counted == set(scope.SPEAKS_FOR_KNOWN)
    assert fitted.probability(features[outside]).mean() > fitted.probability(features[~outside]).mean() + 0.1


@pytest.mark.parametrize("fit", [scope.fit, scope.fit_without_examples])
def test_too_few_of_a_kind_leave_it_to_the_best_card(fit):
    features, _ = asked(50)
    assert np.array_equal(fit(features, np.zeros(50, dtype=bool)).weights, Scope.untrained().weights)


def test_a_document_gives_the_same_probabilities_back():
    features, outside = asked(200)
    fitted = scope.fit(features, outside)
    back = Scope.of_document(json.loads(json.dumps(fitted.document())))
    assert np.array_equal(back.probability(features), fitted.probability(features))


@pytest.mark.parametrize(
    "damage",
    [
        lambda document: document.pop("bias"),
        lambda document: document.pop("weights"),
        lambda document: document["weights"].pop("lead"),
        lambda document: document["weights"].update(new_column=1.0),
        lambda document: document["weights"].update(lead="high"),
        lambda document: document.update(bias=float("inf")),
    ],
)
def test_another_document_is_refused(damage):
    document = Scope.untrained().document()
    damage(document)
    with pytest.raises(ScopeUnreadable):
        Scope.of_document(document)
