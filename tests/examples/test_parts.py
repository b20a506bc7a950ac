"""How sample agents read parts and build answers: inline, by local path, by address, and large ones by reference."""

import base64
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import parts
import pytest
from conftest import file_part, invocation, text_part


class Store(BaseHTTPRequestHandler):
    """As much of a gateway's blob door as agents need."""

    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/v1/blobs/known" else 404)
        self.end_headers()
        self.wfile.write(b"fetched" if self.path == "/v1/blobs/known" else b"")

    def do_POST(self) -> None:
        content = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.kept.append((self.path, self.headers["Content-Type"], len(content)))
        self.send_response(201)
        self.end_headers()
        self.wfile.write(json.dumps({"digest": "sha256:" + 64 * "a", "size_bytes": len(content)}).encode())

    def log_message(self, *_arguments: object) -> None:
        """Quiet."""


@pytest.fixture
def store() -> Iterator[HTTPServer]:
    server = HTTPServer(("127.0.0.1", 0), Store)
    server.kept = []
    serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    serving.start()
    yield server
    server.shutdown()
    serving.join()
    server.server_close()


def url_of(store: HTTPServer) -> str:
    return f"http://127.0.0.1:{store.server_port}"


def test_content_is_read_wherever_it_is(store: HTTPServer):
    assert parts.text_of({"text": "said"}) == "said"
    assert parts.bytes_of({"data": base64.b64encode(b"\x00\x01").decode()}) == b"\x00\x01"
    assert parts.text_of(file_part("letter_fr.txt")).startswith("Chère Madame")
    assert parts.bytes_of({"ref": {"size_bytes": 7, "url": url_of(store) + "/v1/blobs/known"}}) == b"fetched"


def test_text_that_is_not_utf8_is_still_read():
    assert parts.text_of({"data": base64.b64encode("Chère".encode("cp1252")).decode()}) == "Chère"


@pytest.mark.parametrize(
    ("part", "retryable"),
    [
        ({"ref": {"size_bytes": 1}}, True),
        ({"ref": {"size_bytes": 1}, "path": "/nowhere/to/be/found"}, True),
        ({"ref": {"size_bytes": 1, "url": "file:///etc/passwd"}}, False),
        ({"ref": {"size_bytes": 10**9, "url": "http://127.0.0.1:9/"}}, False),
    ],
)
def test_content_that_cannot_be_had_is_said(part: dict, retryable: bool):
    with pytest.raises(parts.CannotDo) as refused:
        parts.bytes_of({"modality": "image", "name": "far.png", **part})
    assert "far.png" in str(refused.value)
    assert refused.value.retryable is retryable


def test_a_blob_that_is_gone_may_be_retried(store: HTTPServer):
    with pytest.raises(parts.CannotDo, match="cannot be fetched") as refused:
        parts.bytes_of({"name": "gone.png", "ref": {"size_bytes": 7, "url": url_of(store) + "/v1/blobs/gone"}})
    assert refused.value.retryable


def test_large_answers_go_to_the_gateway(store: HTTPServer, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AOS_GATEWAY_URL", url_of(store))
    small = parts.bytes_output(b"x" * parts.INLINE_LIMIT_BYTES, "image", "image/png", "small.png")
    large = parts.bytes_output(b"x" * (parts.INLINE_LIMIT_BYTES + 1), "image", "image/png", "large.png")
    assert "data" in small
    assert large["ref"] == {"digest": "sha256:" + 64 * "a", "size_bytes": parts.INLINE_LIMIT_BYTES + 1}
    assert store.kept == [("/v1/blobs", "image/png", parts.INLINE_LIMIT_BYTES + 1)]


def test_large_answers_stay_inline_without_a_gateway(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("AOS_GATEWAY_URL", raising=False)
    assert len(parts.bytes_output(b"x" * 400_000, "image", "image/png", "large.png")["data"]) > 400_000


@pytest.mark.parametrize(
    ("said", "inside"),
    [
        ("Summarise: a long text", "a long text"),
        ("Judge this:\nIt's fine.", "It's fine."),
        ("Judge 'It is fine' please", "It is fine"),
        ("Is “très bien” French?", "très bien"),
        ("Summarise: He said 'no' and left.", "He said 'no' and left."),
        ('Judge: "fine"', "fine"),
        ("What's the user's language?", ""),
        ("Meet at 18:00", ""),
    ],
)
def test_text_inside_an_instruction_is_found(said: str, inside: str):
    assert parts.quoted(said) == inside


def test_named_text_is_content_and_the_instruction_is_not():
    assert (
        parts.content_text(invocation("Summarise: this is only the instruction", text_part("Content."))) == "Content."
    )


def test_every_separator_of_tables_is_read():
    for separator in ",;\t|":
        part = {"name": "t.csv", "text": f"a{separator}b\n1{separator}2\n"}
        assert parts.rows_of(part) == (["a", "b"], [["1", "2"]])
