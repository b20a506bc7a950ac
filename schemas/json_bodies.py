"""A look at a JSON body before anything is built from it. Used by whoever reads requests: the doors, the bus services.

pydantic notes every wrong value: a body of a few megabytes with a million of them costs seconds, in which nobody else
is served, and an answer larger than the bus carries. No message of ours holds more than a few thousand values.
"""

import re

VALUES_MAX = 10_000
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)', re.DOTALL)
"""A string, or the rest of the body where it does not end: each byte is looked at once."""


def has_too_many_values(body: bytes) -> bool:
    """Whether there are more than ``VALUES_MAX`` values, by the commas outside its strings."""
    return len(body) > 2 * VALUES_MAX and _STRING.sub(b"", body).count(b",") >= VALUES_MAX
