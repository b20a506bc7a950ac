"""How a sample agent reads the parts it is given and builds the parts it answers with. Imports nothing of the gateway.

The host calls ``run(invocation)`` with plain dicts in the shape of docs' wire protocol. A part carries its content as
``text``, as base64 ``data``, as a local ``path``, or behind ``ref.url``. Parts with a name are content (attachments, or
answers of agents before this one); the task's own words are a text part without a name.
"""

import base64
import csv
import functools
import io
import json
import os
import re
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

INLINE_LIMIT_BYTES = 192 * 1024
READ_LIMIT_BYTES = 64 * 1024 * 1024
FETCH_TIMEOUT_S = 20.0
QUOTED_WITHIN = 4000

Part = dict[str, Any]
Invocation = dict[str, Any]
Reply = dict[str, Any]
Work = Callable[[Invocation], list[Part]]

_SUFFIX_MODALITY = {
    ".csv": "table", ".tsv": "table", ".png": "image", ".jpg": "image", ".jpeg": "image", ".webp": "image",
    ".wav": "audio", ".flac": "audio", ".ogg": "audio", ".mp3": "audio", ".pdf": "document", ".docx": "document",
    ".html": "document", ".txt": "text", ".md": "text", ".json": "data",
}  # fmt: skip
_QUOTED = re.compile(r"(?<!\w)[\"“«'‘]\s*(\S.*?)\s*[\"”»'’](?!\w)", re.DOTALL)
_HEAD_AND_TAIL = re.compile(r"^\s*([^:\n]{1,160}?)\s*(?::\s+|:\n|\n)\s*(\S.*)$", re.DOTALL)


class CannotDo(Exception):
    """The agent cannot do what is asked; the message tells a person what to change."""

    def __init__(self, code: str, message: str, *, retryable: bool = False) -> None:
        super().__init__(message)
        self.code = code
        self.retryable = retryable


class Lacks(CannotDo):
    """The task lacks something, so that nobody could do it as it is; the message says what to add.

    Its code is reserved by the protocol: that is no failure of the agent, and nothing is held against it.
    """

    def __init__(self, message: str) -> None:
        super().__init__("input_required", message)


def answering(work: Work) -> Callable[[Invocation], Reply]:
    """Wrap ``work`` (invocation -> output parts) into an agent: outputs become a reply, CannotDo an error."""

    @functools.wraps(work)
    def run(invocation: Invocation) -> Reply:
        try:
            return {"step_id": invocation["step_id"], "outputs": work(invocation)}
        except CannotDo as reason:
            error = {"code": reason.code, "message": str(reason), "retryable": reason.retryable}
            return {"step_id": invocation["step_id"], "error": error}

    return run


def modality_of(part: Part) -> str:
    """What kind of content the part holds: as declared, else from its media type or name."""
    if part.get("modality"):
        return str(part["modality"])
    media_type = part.get("media_type") or ""
    for family in ("image", "audio"):
        if media_type.startswith(f"{family}/"):
            return family
    if media_type in ("text/csv", "text/tab-separated-values"):
        return "table"
    by_name = _SUFFIX_MODALITY.get(Path(part.get("name") or "").suffix.lower())
    return by_name or ("text" if part.get("text") is not None or media_type.startswith("text/") else "file")


def bytes_of(part: Part) -> bytes:
    """The content. Raises CannotDo when it cannot be had or is past READ_LIMIT_BYTES."""
    if part.get("text") is not None:
        return str(part["text"]).encode()
    if part.get("data") is not None:
        return base64.b64decode(part["data"])
    ref = part.get("ref") or {}
    if ref.get("size_bytes", 0) > READ_LIMIT_BYTES:
        size_mib = ref["size_bytes"] // 2**20
        raise CannotDo(
            "too_large", f"{label(part)} has {size_mib} MiB; this agent reads at most 64 MiB. Send an excerpt."
        )
    if part.get("path"):
        return _local_bytes(part, Path(part["path"]))
    if ref.get("url"):
        return _remote_bytes(part, ref["url"])
    raise CannotDo(
        "missing_content", f"{label(part)} came by reference without a place to read it from.", retryable=True
    )


def text_of(part: Part) -> str:
    """The content as text: UTF-8 (with or without BOM), else Windows-1252, in which every byte is a letter."""
    if part.get("text") is not None:
        return str(part["text"])
    content = bytes_of(part)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("cp1252", errors="replace")


def contents(invocation: Invocation, *modalities: str) -> list[Part]:
    """The parts of those modalities that are content; a nameless text is the instruction and never among them."""
    return [
        part
        for part in invocation["inputs"]
        if modality_of(part) in modalities and (part.get("name") or part.get("text") is None)
    ]


def the_first(invocation: Invocation, modality: str, example: str) -> Part:
    """The first part of that modality. Raises Lacks that asks for one."""
    found = contents(invocation, modality)
    if not found:
        article = "an" if modality[0] in "aeiou" else "a"
        raise Lacks(f"This needs {article} {modality}: attach one, for example {example}.")
    return found[0]


def words(invocation: Invocation) -> str:
    """What is asked, in words: the goal of the step, else the task's own words."""
    return str(invocation.get("goal") or "").strip() or task_words(invocation)


def task_words(invocation: Invocation) -> str:
    """The whole instruction as the client wrote it, which may hold more than this step's goal."""
    plain = (p for p in invocation["inputs"] if modality_of(p) == "text" and p.get("text") is not None)
    return "\n".join(part["text"] for part in plain if not part.get("name")).strip()


def content_text(invocation: Invocation) -> str:
    """The text to work on: attachments and earlier answers first, else what the instruction quotes or introduces."""
    attached = [text_of(part).strip() for part in contents(invocation, "text")]
    if any(attached):
        return "\n\n".join(text for text in attached if text)
    if attached:
        raise Lacks("The text that was given is empty. Send one with words in it.")
    for said in (words(invocation), task_words(invocation)):
        embedded = quoted(said)
        if embedded:
            return embedded
    said = max(words(invocation), task_words(invocation), key=len)
    if not said:
        raise Lacks("There is no text to work on: attach a text file or write the text after a colon.")
    return said


def quoted(said: str) -> str:
    """The text inside an instruction: between quotes, or after 'Do this:', or after the first line; else ''.

    A long text may hold quotes of its own, so a colon or line break before the first quote wins.
    """
    inside = _QUOTED.search(said[:QUOTED_WITHIN])
    introduced = _HEAD_AND_TAIL.match(said)
    if introduced and (inside is None or introduced.start(2) <= inside.start()):
        tail = introduced.group(2).strip()
        return inside.group(1) if inside and inside.group(0) == tail else tail
    return inside.group(1) if inside else ""


def rows_of(part: Part) -> tuple[list[str], list[list[str]]]:
    """A table part as (header, rows), every cell text. Reads CSV with comma, semicolon, tab or bar between cells."""
    lines = text_of(part).strip("\r\n\ufeff")
    if not lines.strip() or "\x00" in lines:
        raise CannotDo("not_a_table", f"{label(part)} is not a table in text form. Save it as CSV and send it again.")
    first = lines.splitlines()[0]
    separator = max(",;\t|", key=first.count)
    table = [row for row in csv.reader(io.StringIO(lines), delimiter=separator) if any(cell.strip() for cell in row)]
    header, rows = [name.strip() for name in table[0]], table[1:]
    if not rows:
        raise Lacks(f"{label(part)} has a header and no rows.")
    return header, [(row + [""] * len(header))[: len(header)] for row in rows]


def label(part: Part) -> str:
    """How to call the part when speaking to a person."""
    return part.get("name") or f"the {modality_of(part)}"


def renamed(part: Part, ending: str, otherwise: str = "answer") -> str:
    """The part's name with another ending: report.pdf -> report.txt."""
    return (Path(part.get("name") or otherwise).stem or otherwise) + ending


def text_output(text: str, name: str = "answer.txt", media_type: str = "text/plain") -> Part:
    """An answer in words."""
    content = text.encode()
    if len(content) > INLINE_LIMIT_BYTES:
        return bytes_output(content, "text", media_type, name)
    return {"modality": "text", "media_type": media_type, "name": name, "text": text}


def table_output(header: list[str], rows: list[list[Any]], name: str = "table.csv") -> Part:
    """A table, as CSV."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return {**text_output(buffer.getvalue(), name, "text/csv"), "modality": "table"}


def bytes_output(content: bytes, modality: str, media_type: str, name: str) -> Part:
    """A binary answer: inline while small, by reference when a gateway is there to keep it."""
    part: Part = {"modality": modality, "media_type": media_type, "name": name}
    gateway = os.environ.get("AOS_GATEWAY_URL")
    if len(content) > INLINE_LIMIT_BYTES and gateway:
        return {**part, "ref": _stored(content, media_type, gateway)}
    return {**part, "data": base64.b64encode(content).decode()}


def _local_bytes(part: Part, path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as problem:
        raise CannotDo(
            "missing_content", f"{label(part)} cannot be read: {problem.strerror}.", retryable=True
        ) from problem


def _remote_bytes(part: Part, url: str) -> bytes:
    if not url.startswith(("http://", "https://")):
        raise CannotDo("missing_content", f"{label(part)} lies at {url}, which is not an http address.")
    try:
        with urllib.request.urlopen(url, timeout=FETCH_TIMEOUT_S) as response:  # noqa: S310 - scheme checked above
            return bytes(response.read(READ_LIMIT_BYTES))
    except (urllib.error.URLError, TimeoutError) as problem:
        raise CannotDo("missing_content", f"{label(part)} cannot be fetched: {problem}.", retryable=True) from problem


def _stored(content: bytes, media_type: str, gateway: str) -> dict[str, Any]:
    headers = {"Content-Type": media_type, "X-AOS-Tenant": os.environ.get("AOS_TENANT", "default")}
    request = urllib.request.Request(f"{gateway.rstrip('/')}/v1/blobs", content, headers)  # noqa: S310 - our gateway
    try:
        with urllib.request.urlopen(request, timeout=FETCH_TIMEOUT_S) as response:  # noqa: S310
            reference: dict[str, Any] = json.load(response)
    except (urllib.error.URLError, TimeoutError, ValueError) as problem:
        raise CannotDo("not_stored", f"The answer could not be stored: {problem}.", retryable=True) from problem
    return reference
