"""A task that comes as a form: what its fields and files become, and how much of it is read."""

import pytest
from starlette.requests import Request

from gateway.claim_check import ClaimCheck
from gateway.door_limits import DoorLimits
from gateway.errors import TooLarge
from gateway.http.task_forms import read_task_form
from tensor_layer.storage.blobs import ObstoreBlobs

LIMITS = DoorLimits()


def a_file(name, media_type, content=b"1,2\n"):
    disposition = (
        f'Content-Disposition: form-data; name="file"; filename="{name}"\r\nContent-Type: {media_type}\r\n\r\n'
    )
    return disposition.encode() + content


def a_text(text):
    return b'Content-Disposition: form-data; name="text"\r\n\r\n' + text.encode()


@pytest.fixture
def read(tmp_path):
    async def reading(*parts, limits=LIMITS):
        body = b"".join(b"--b\r\n" + part + b"\r\n" for part in parts) + b"--b--\r\n"

        async def receive():
            return {"type": "http.request", "body": body, "more_body": False}

        headers = [(b"content-type", b"multipart/form-data; boundary=b")]
        request = Request({"type": "http", "headers": headers}, receive)
        blobs = ObstoreBlobs.from_url(f"file://{tmp_path}", cache_dir=tmp_path / "cache")
        check = ClaimCheck(blobs, inline_bytes=limits.inline_bytes, attachment_bytes=limits.attachment_bytes)
        return await read_task_form(request, check, limits)

    return reading


@pytest.mark.parametrize("said", ["application/octet-stream", "text/plain; note=" + "x" * 300])
async def test_a_file_whose_media_type_says_nothing_is_known_by_its_name(read, said):
    [file] = (await read(a_file("sums.csv", said))).parts
    assert (file.name, file.media_type, file.inline_bytes()) == ("sums.csv", "text/csv", b"1,2\n")


@pytest.mark.parametrize(
    ("sent", "kept"),
    [("C:\\scans\\a.png", "a.png"), ("/tmp/a.png", "a.png"), ("..", None), ("x" * 300 + ".png", "x" * 251 + ".png")],
)
async def test_a_file_keeps_the_last_component_of_its_name(read, sent, kept):
    [file] = (await read(a_file(sent.replace("\\", "\\\\"), "image/png"))).parts
    assert file.name == kept


async def test_all_texts_of_a_form_together_are_bounded_in_bytes(read):
    limits = DoorLimits(json_body_bytes=100)
    assert len((await read(a_text("€" * 20), a_text("x" * 40), limits=limits)).parts) == 2
    with pytest.raises(TooLarge):
        await read(a_text("€" * 20), a_text("x" * 41), limits=limits)
