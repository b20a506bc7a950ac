"""A local HTTP door that speaks InfluxDB 2's API: writes go on to a real victoria-metrics, Flux answers are canned.

No InfluxDB 2 server can be had on test machines. Writes are accepted and stored by a real server that knows the line
protocol; queries are answered in the annotated CSV of InfluxDB's documentation, after checking what was asked.
"""

import csv
import io
import json
import shutil
import subprocess
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
import zlib
from collections import deque
from collections.abc import Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from evolution.store.influx_points import CHUNK_CHARACTERS
from gateway.embedded.nats_server import free_port
from schemas.experience import ExperienceRecord

BINARY = shutil.which("victoria-metrics")


def annotated_csv(rows: Sequence[Mapping[str, str | int]]) -> bytes:
    """Rows of one table, as https://docs.influxdata.com/influxdb/v2/reference/syntax/annotated-csv shows it."""
    if not rows:
        return b""
    names = list(rows[0])
    kinds = ["dateTime:RFC3339" if n == "_time" else "long" if isinstance(rows[0][n], int) else "string" for n in names]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(["#datatype", "string", "long", *kinds])
    writer.writerow(["#group", "false", "false", *["false"] * len(names)])
    writer.writerow(["#default", "_result", "", *[""] * len(names)])
    writer.writerow(["", "result", "table", *names])
    writer.writerows(["", "", 0, *row.values()] for row in rows)
    return (text.getvalue() + "\r\n").encode()


class VictoriaMetrics:
    """The real server behind the door."""

    def __init__(self, folder: Path) -> None:
        self.url = f"http://127.0.0.1:{(port := free_port())}"
        command = [
            str(BINARY),
            f"-storageDataPath={folder}",
            f"-httpListenAddr=127.0.0.1:{port}",
            "-retentionPeriod=100y",
        ]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(500):
            try:
                urllib.request.urlopen(f"{self.url}/health", timeout=1).close()
                return
            except OSError:
                time.sleep(0.02)
        raise RuntimeError("victoria-metrics does not start")

    def exported(self) -> list[dict[str, Any]]:
        """Every series that it holds: labels, values, timestamps in ms."""
        urllib.request.urlopen(f"{self.url}/internal/force_flush", timeout=5).close()
        match = urllib.parse.quote('{__name__=~".+"}')
        with urllib.request.urlopen(f"{self.url}/api/v1/export?match[]={match}", timeout=5) as answer:
            return [json.loads(line) for line in answer]

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(10)


class InfluxDoor:
    """The API that influxdb-client calls. ``…_failures`` are answered first; ``answers`` are the next Flux results."""

    def __init__(self, behind: str) -> None:
        self.behind = behind
        self.buckets: set[str] = set()
        self.retention_s: dict[str, int] = {}
        self.deletes: list[tuple[str, dict[str, str]]] = []
        self.delete_failures: deque[tuple[int, dict[str, str], str]] = deque()
        self.write_failures: deque[tuple[int, dict[str, str], str]] = deque()
        self.query_failures: deque[tuple[int, dict[str, str], str]] = deque()
        self.answers: deque[bytes] = deque()
        self.queries: list[dict[str, Any]] = []
        self.writes: list[tuple[str, str]] = []
        door = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self.respond("GET")

            def do_POST(self) -> None:
                self.respond("POST")

            def do_PATCH(self) -> None:
                self.respond("PATCH")

            def respond(self, method: str) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                split = urllib.parse.urlsplit(self.path)
                arguments = dict(urllib.parse.parse_qsl(split.query))
                status, headers, answer = door.answer(method, split.path, arguments, body)
                self.send_response(status)
                for name, value in {"Content-Type": "application/json", **headers}.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def answer(
        self, method: str, path: str, arguments: Mapping[str, str], body: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        failures = {
            "/api/v2/write": self.write_failures,
            "/api/v2/query": self.query_failures,
            "/api/v2/delete": self.delete_failures,
        }.get(path)
        if failures:
            status, headers, message = failures.popleft()
            return status, headers, json.dumps({"code": "failure", "message": message}).encode()
        if path == "/api/v2/write":
            return self._write(arguments["bucket"], body)
        if path == "/api/v2/query":
            self.queries.append(json.loads(body))
            return 200, {"Content-Type": "text/csv"}, self.answers.popleft() if self.answers else b""
        if path == "/api/v2/delete":  # https://docs.influxdata.com/influxdb/v2/api/v2/#operation/PostDelete
            self.deletes.append((arguments["bucket"], json.loads(body)))
            return 204, {}, b""
        if path == "/api/v2/orgs":
            return 200, {}, json.dumps({"orgs": [{"id": "0" * 15 + "1", "name": "aos"}]}).encode()
        if method == "PATCH":
            return 200, {}, json.dumps(self._changed(path.rpartition("/")[2], json.loads(body))).encode()
        if method == "POST":
            name = json.loads(body)["name"]
            if name in self.buckets:
                return 422, {}, json.dumps({"code": "conflict", "message": f"bucket {name} already exists"}).encode()
            self.buckets.add(name)
            self.retention_s[name] = json.loads(body)["retentionRules"][0]["everySeconds"]
            return 201, {}, json.dumps({"id": "0" * 15 + "2", "name": name, "retentionRules": []}).encode()
        found = [self._bucket(name) for name in sorted(self.buckets) if arguments.get("name") in (None, name)]
        return 200, {}, json.dumps({"links": {"self": "/api/v2/buckets"}, "buckets": found}).encode()

    def _bucket(self, name: str) -> dict[str, Any]:
        kept_s = self.retention_s.get(name)
        rules = [] if kept_s is None else [{"type": "expire", "everySeconds": kept_s}]
        return {"id": f"{zlib.crc32(name.encode()):016x}", "name": name, "retentionRules": rules}

    def _changed(self, bucket_id: str, change: Mapping[str, Any]) -> dict[str, Any]:
        name = next(name for name in self.buckets if self._bucket(name)["id"] == bucket_id)
        self.retention_s[name] = change["retentionRules"][0]["everySeconds"]
        return self._bucket(name)

    def _write(self, bucket: str, body: bytes) -> tuple[int, dict[str, str], bytes]:
        if bucket not in self.buckets:
            return 404, {}, json.dumps({"code": "not found", "message": f'bucket "{bucket}" not found'}).encode()
        urllib.request.urlopen(f"{self.behind}/api/v2/write?db={bucket}", data=body, timeout=5).close()
        self.writes.append((bucket, body.decode()))
        return 204, {}, b""

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def row(record: ExperienceRecord, stored_us: int = 0) -> dict[str, str | int]:
    """A pivoted row, with the body in chunks as a long record has."""
    body = record.model_dump_json()
    size = 1000 if len(body) < 10_000 else CHUNK_CHARACTERS
    chunks = {f"body_{number}": body[at : at + size] for number, at in enumerate(range(0, len(body), size))}
    moment = record.at.isoformat().replace("+00:00", "Z")
    return {"_time": moment, "slot": "1", **chunks, "stored_us": stored_us}


def parameters(query: dict) -> dict:
    """The bound parameters of a query, read from the AST that influxdb-client sends beside the text."""
    found = {}
    for statement in query["extern"]["body"]:
        assignment = statement["assignment"]
        found[assignment["id"]["name"]] = literal(assignment["init"])
    return found


def literal(expression: dict) -> object:
    if expression["type"] == "ArrayExpression":
        return [literal(element) for element in expression["elements"]]
    if expression["type"] == "IntegerLiteral":
        return int(expression["value"])
    return expression["value"]
