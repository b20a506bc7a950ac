"""A sample is drawn evenly, in whatever parts tasks are offered, and is the same again."""

import numpy as np

from evolution.mining.drawing import Draw


def drawn(parts, count=100, seed=0, without=()):
    draw, read = Draw(count, seed), []
    for part in parts:

        def look(wanted):
            read.extend(wanted)
            return [None if seq in without else (str(seq).encode(), "minilm-1") for seq in wanted]

        draw.offer(np.array(part, dtype=np.int64), look)
    return [int(vector) for vector, _ in draw.taken()], read


ALL = range(1, 5001)
PARTS = [range(start, start + 500) for start in range(1, 5001, 500)]


def test_the_parts_and_their_order_do_not_matter():
    whole, _ = drawn([ALL])
    assert len(whole) == 100
    assert whole == sorted(whole)
    assert drawn(PARTS)[0] == whole == drawn(PARTS[::-1])[0]
    assert drawn(PARTS, seed=1)[0] != whole


def test_every_part_has_its_share():
    found, _ = drawn(PARTS, count=1000)
    shares = [sum(seq in part for seq in found) for part in PARTS]
    assert min(shares) > 70
    assert max(shares) < 130


def test_no_more_is_read_than_may_be_drawn():
    _, read = drawn(PARTS)
    assert len(read) < 600


def test_of_few_all_are_drawn_and_those_without_a_vector_left_out():
    assert drawn([range(1, 51)], without={7})[0] == [seq for seq in range(1, 51) if seq != 7]
