"""What can stand in a bus subject."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import subjects
from schemas.base import TOKEN_PATTERN, id_from_key, is_token, new_id


@given(st.text(max_size=70) | st.from_regex(TOKEN_PATTERN))
def test_a_token_is_what_the_pattern_says(text):
    assert is_token(text) == (re.fullmatch(TOKEN_PATTERN.removesuffix("$"), text) is not None)


@pytest.mark.parametrize("hostile", ["", "a.b", "*", ">", "a b", "a\n", "ä", "x" * 65, "٣"])
def test_nothing_else_gets_into_a_subject(hostile):
    with pytest.raises(ValueError, match="cannot stand in a bus subject"):
        subjects.event("default", hostile)


def test_ids_sort_by_the_time_they_were_made():
    ids = [new_id() for _ in range(100)]
    assert [i[:12] for i in ids] == sorted(i[:12] for i in ids)
    assert len(set(ids)) == 100


def test_a_key_is_the_same_task_for_ever_and_only_for_its_tenant():
    assert id_from_key("a", "order-17") == id_from_key("a", "order-17")
    assert id_from_key("a", "order-17") != id_from_key("b", "order-17")
