"""Planted kinds of task are found, keep their names, and what is like nothing is of no kind."""

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from evolution.mining.kinds import NOISE, Kinds, find_kinds, renamed
from evolution.mining.mine import mine
from schemas.pattern import PatternKind
from tests.unit.evolution.experience_records import a_record, encoded


def unit(vectors):
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def planted(rng, kinds, count, spread, dimension=96, noise=0):
    """Vectors around random directions, and their true kinds; ``noise`` vectors point anywhere."""
    centres = unit(rng.normal(size=(kinds, dimension)))
    truth = rng.integers(kinds, size=count)
    vectors = unit(centres[truth] + spread / np.sqrt(dimension) * rng.normal(size=(count, dimension)))
    odd = unit(rng.normal(size=(noise, dimension)))
    order = rng.permutation(count + noise)
    labels = np.concatenate([truth, np.full(noise, NOISE)])
    return np.concatenate([vectors, odd])[order], labels[order]


@pytest.mark.parametrize(("kinds", "spread"), [(3, 0.7), (8, 0.7), (16, 0.5)])
def test_planted_kinds_are_found(kinds, spread):
    vectors, truth = planted(np.random.default_rng(1), kinds, 1500, spread)
    found = find_kinds(vectors)
    assert len(found.names) == kinds
    assert adjusted_rand_score(truth, found.assign(vectors)) >= 0.95


def test_among_much_noise_the_kinds_are_still_found():
    vectors, truth = planted(np.random.default_rng(2), 4, 1200, 0.5, noise=400)
    given = find_kinds(vectors).assign(vectors)
    real = truth != NOISE
    assert adjusted_rand_score(truth[real], given[real]) >= 0.95
    assert (given[~real] == NOISE).mean() >= 0.9


def test_the_same_vectors_give_the_same_kinds_again():
    vectors, _ = planted(np.random.default_rng(3), 5, 800, 0.6)
    one, two = find_kinds(vectors), find_kinds(vectors)
    assert np.array_equal(one.centres, two.centres)
    assert (one.method, one.silhouette) == (two.method, two.silhouette)


def test_kinds_keep_their_names_when_new_tasks_and_a_new_kind_come():
    rng = np.random.default_rng(4)
    vectors, truth = planted(rng, 5, 1500, 0.5)
    old = find_kinds(vectors[truth != 4])
    new = renamed(find_kinds(vectors), old)
    known = truth != 4
    assert (new.assign(vectors[known]) == old.assign(vectors[known])).mean() >= 0.95
    assert set(new.assign(vectors[~known]).tolist()) - {NOISE} == {4}


def test_few_vectors_have_no_kinds():
    vectors, _ = planted(np.random.default_rng(5), 2, 50, 0.5)
    found = find_kinds(vectors)
    assert found.names == ()
    assert set(found.assign(vectors).tolist()) == {NOISE}


@pytest.mark.parametrize("questions", [1, 2, 5])
def test_the_same_few_questions_over_and_over_are_so_many_kinds_at_most(questions):
    asked = np.random.default_rng(3).normal(size=(questions, 32)).astype(np.float32)
    vectors = unit(np.repeat(asked, 100, axis=0))
    kinds = find_kinds(vectors)
    assert 1 <= len(kinds.names) <= questions
    assert NOISE not in kinds.assign(vectors)


def test_vectors_of_another_width_under_the_same_name_are_passed_over():
    wide = [a_record(f"w{n}", minutes=n, vector=encoded(np.ones(16))) for n in range(100)]
    narrow = [a_record(f"n{n}", minutes=n, vector=encoded(np.ones(8))) for n in range(20)]
    assert mine([*wide, *narrow]).kinds.centres.shape[1] == 16


def test_naming_without_a_past_starts_at_zero():
    nothing = Kinds(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), (), "none", 0.0)
    some = Kinds(np.eye(2, 4, dtype=np.float32), np.zeros(2, np.float32), (7, 8), "k-means, k=2", 0.5)
    assert renamed(some, nothing).names == (0, 1)
    assert renamed(nothing, some).names == ()


# Everything together


def experience(rng, count):
    vectors, truth = planted(rng, 3, count, 0.5)
    for number in range(count):
        agent = f"a{rng.integers(3)}"
        bad = agent == "a1" and truth[number] == 2
        yield a_record(
            f"t{number}",
            minutes=number,
            chosen=(agent,),
            vector=encoded(vectors[number]),
            instruction=f"do {number}",
            success=bool(rng.random() < (0.2 if bad else 0.9)),
            candidates=(),
            network=None,
            steps=(),
        )


def test_a_window_is_mined_into_patterns_with_their_evidence():
    records = list(experience(np.random.default_rng(6), 1500))
    mined = mine(records)
    by_kind = {kind: [p for p in mined.patterns if p.kind is kind] for kind in PatternKind}
    assert len(by_kind[PatternKind.KIND]) == 3
    assert sum(pattern.support for pattern in by_kind[PatternKind.KIND]) >= 1400
    [rule] = [p for p in by_kind[PatternKind.RULE] if p.consequent == "outcome=failure"]
    assert rule.antecedent[0] == "agent=a1"
    assert rule.antecedent[1].startswith("kind=")
    assert rule.low < rule.confidence < rule.high
    assert rule.lift > 2
    examples = {record.task_id: record for record in records}
    assert all(not examples[task].success and examples[task].chosen == ("a1",) for task in rule.examples)
    assert by_kind[PatternKind.DRIFT] == []


def test_mining_a_window_again_gives_the_same_patterns():
    records = list(experience(np.random.default_rng(7), 600))
    first = mine(records)
    again = mine(list(reversed(records)), previous=first.kinds)
    ids = [pattern.pattern_id for pattern in first.patterns]
    assert [pattern.pattern_id for pattern in again.patterns] == ids
    assert len(set(ids)) == len(ids)


def test_a_window_without_records_or_vectors_is_mined_too():
    assert mine([]).patterns == ()
    assert mine([a_record(f"t{n}", vector=None, minutes=n) for n in range(100)]).kinds.names == ()


def test_patterns_of_several_tenants_are_never_mixed():
    with pytest.raises(ValueError, match="one tenant"):
        mine([a_record(tenant="a"), a_record(tenant="b")])
