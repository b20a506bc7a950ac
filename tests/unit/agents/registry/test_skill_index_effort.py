"""How hard a search tries, by the size of the index and the share of points that a filter leaves."""

import pytest

from agents.registry.skill_index_effort import TRIED_LEAST, TRIED_MOST, Effort, effort

MILLION = 1_000_000


def test_more_points_and_narrower_filters_are_searched_harder_up_to_a_limit():
    sizes = [effort(points, points, points).tried for points in (1, 10_000, 100_000, 300_000, MILLION)]
    assert sizes == sorted(sizes)
    assert sizes[0] == sizes[1] == TRIED_LEAST < sizes[-1]
    widths = [effort(MILLION, allowed, MILLION).tried for allowed in (MILLION, 900_000, 600_000, 300_000)]
    assert widths == sorted(widths)
    assert widths[0] < widths[-1] <= TRIED_MOST
    assert effort(100 * MILLION, 50 * MILLION, 100 * MILLION).tried == TRIED_MOST


@pytest.mark.parametrize(
    ("allowed", "edged", "over"),
    [
        (100_000, MILLION, True),
        (100_000, 100_000, False),
        (50_000, 100_000, False),
        (20_000, 100_000, True),
        (250_000, 250_000, True),
        (350_000, MILLION, False),
    ],
    ids=[
        "a tenth by a field without edges",
        "a tenth by a tag",
        "half of a tag",
        "a fifth of a tag",
        "a tag that too many have for edges",
        "a third by a field without edges",
    ],
)
def test_a_walk_steps_over_points_where_the_filter_leaves_too_few_edges(allowed: int, edged: int, over: bool):
    assert effort(MILLION, allowed, edged).over is over


def test_an_empty_index_and_a_filter_that_nobody_meets_are_searched_all_the_same():
    assert effort(0, 0, 0) == Effort(TRIED_LEAST)
    assert effort(MILLION, 0, 0).tried >= TRIED_LEAST
