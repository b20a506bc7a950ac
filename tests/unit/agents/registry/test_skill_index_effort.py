"""How a search goes about it, by the size of the index and the share of points that a filter leaves."""

import pytest

from agents.registry.skill_index.effort import TRIED_LEAST, TRIED_MOST, Effort, Way, effort

MILLION = 1_000_000


def test_more_points_are_searched_harder_and_small_indexes_no_harder_than_the_least():
    sizes = [effort(points, points, points, 10).tried for points in (1, 10_000, 100_000, 300_000, MILLION)]
    assert sizes == sorted(sizes)
    assert sizes[0] == sizes[2] == TRIED_LEAST < sizes[-1]


def test_narrower_filters_are_sieved_from_more_points_and_more_when_more_are_asked_for():
    tried = [effort(MILLION, allowed, MILLION, 10).tried for allowed in (900_000, 600_000, 300_000, 200_000)]
    assert tried == sorted(tried)
    assert tried[0] < tried[-1]
    assert effort(MILLION, 300_000, MILLION, 100).tried * 0.3 >= 200
    assert effort(MILLION, 300_000, MILLION, 1_000).way is Way.EACH


@pytest.mark.parametrize(
    ("allowed", "edged", "way"),
    [
        (MILLION, MILLION, Way.WALK),
        (990_000, MILLION, Way.WALK),
        (500_000, MILLION, Way.SIEVE),
        (100_000, MILLION, Way.EACH),
        (100_000, 100_000, Way.WALK),
        (50_000, 100_000, Way.EACH),
        (190_000, 190_000, Way.EACH),
        (250_000, 250_000, Way.SIEVE),
    ],
    ids=[
        "everybody",
        "nearly everybody",
        "half",
        "a tenth by a field without edges",
        "a tenth by a tag",
        "half of a tag",
        "a tag that too many have for edges",
        "a tag that a quarter has",
    ],
)
def test_what_is_walked_depends_on_whom_the_filter_leaves(allowed: int, edged: int, way: Way):
    assert effort(MILLION, allowed, edged, 10).way is way


def test_a_walk_among_a_tag_has_a_limit():
    assert effort(MILLION, 30_000, 30_000, 10) == Effort(Way.WALK, TRIED_MOST)


def test_an_empty_index_and_a_filter_that_nobody_meets_are_searched_all_the_same():
    assert effort(0, 0, 0, 10).way is Way.WALK
    assert effort(MILLION, 0, MILLION, 10).way is Way.EACH
