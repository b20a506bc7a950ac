"""Forms are read part by part, however the network cuts them up."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import RequestInvalid, TooLarge
from gateway.http.multipart import MultipartReader

PARTS = st.lists(st.tuples(st.booleans(), st.binary(max_size=200)), max_size=5)


def body_of(parts):
    body = b""
    for index, (is_file, content) in enumerate(parts):
        filename = b'; filename="f%d"' % index if is_file else b""
        body += b'--BOUND\r\nContent-Disposition: form-data; name="n%d"%s\r\n' % (index, filename)
        body += b"Content-Type: text/x-%d\r\n\r\n" % index + content + b"\r\n"
    return body + b"--BOUND--\r\n"


async def cut(body, cuts):
    edges = [0, *sorted({cut % (len(body) + 1) for cut in cuts}), len(body)]
    for start, end in pairwise(edges):
        yield body[start:end]


def reader_of(chunks):
    return MultipartReader(chunks, "multipart/form-data; boundary=BOUND")


@given(parts=PARTS, cuts=st.lists(st.integers(min_value=0, max_value=5000), max_size=20))
async def test_any_cutting_gives_the_same_parts(parts, cuts):
    read = []
    async for part in reader_of(cut(body_of(parts), cuts)).parts():
        content = b"".join([chunk async for chunk in part.chunks])
        read.append((part.name, part.filename is not None, part.media_type, content))
    expected = [(f"n{i}", is_file, f"text/x-{i}", content) for i, (is_file, content) in enumerate(parts)]
    assert read == expected


@given(parts=PARTS.filter(len), cuts=st.lists(st.integers(min_value=0, max_value=5000), max_size=5))
async def test_parts_that_nobody_reads_are_skipped(parts, cuts):
    names = [part.name async for part in reader_of(cut(body_of(parts), cuts)).parts()]
    assert names == [f"n{index}" for index in range(len(parts))]


@given(parts=PARTS.filter(len), missing=st.integers(min_value=5, max_value=100))
async def test_a_torn_form_is_refused(parts, missing):
    body = body_of(parts)
    torn = body[: max(0, len(body) - missing)]
    with pytest.raises(RequestInvalid) as refused:
        _ = [part async for part in reader_of(cut(torn, [])).parts()]
    assert refused.value.code in ("multipart_truncated", "multipart_invalid")


async def test_a_part_streams_before_the_rest_of_the_form_has_come():
    sent = []

    async def slowly():
        for chunk in (body_of([(True, b"x" * 1000)])[:200], b"y" * 1000, b"\r\n--BOUND--\r\n"):
            sent.append(chunk)
            yield chunk

    part = await anext(reader_of(slowly()).parts())
    assert (await anext(part.chunks)).startswith(b"x")
    assert len(sent) == 1


async def test_a_field_has_a_limit():
    part = await anext(reader_of(cut(body_of([(False, b"x" * 100)]), [])).parts())
    with pytest.raises(TooLarge):
        await part.text(99)


async def test_a_field_is_utf8():
    part = await anext(reader_of(cut(body_of([(False, b"\xff")]), [])).parts())
    with pytest.raises(RequestInvalid, match="UTF-8"):
        await part.text(99)
