"""Values are counted outside strings, whatever the strings hold and whether or not they end."""

import json

import pytest

from schemas.json_bodies import VALUES_MAX, has_too_many_values

COMMAS = "," * (3 * VALUES_MAX)


@pytest.mark.parametrize(
    "body",
    [
        json.dumps({"text": COMMAS}).encode(),
        json.dumps({"text": '"' + COMMAS + '"'}).encode(),
        json.dumps({"text": "\\" + COMMAS, "more": '\\"' + COMMAS}).encode(),
        b'{"text": "' + COMMAS.encode(),
        b'{"text": "' + COMMAS.encode() + b"\\",
        b'"' + b'\\"' * 1_000_000,
        b"[" + b"1," * (VALUES_MAX - 1) + b"1]" + b" " * 3 * VALUES_MAX,
    ],
)
def test_commas_in_strings_are_no_values(body):
    assert not has_too_many_values(body)


@pytest.mark.parametrize(
    "body",
    [
        b"[" + b"{}," * VALUES_MAX + b"{}]",
        b'["' + b'\\"' * 9 + b'",' + b"1," * VALUES_MAX + b"1]",
        json.dumps({str(number): "," for number in range(VALUES_MAX + 1)}).encode(),
        b'{"a": "b\\\\", "c": [' + b"1," * VALUES_MAX,
    ],
)
def test_too_many_values_are_noticed(body):
    assert has_too_many_values(body)
