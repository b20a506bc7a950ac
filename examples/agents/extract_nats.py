"""Fact finder on the bus: a bare nats-py script with nothing of this project in it. Any NATS client can be an agent.

It answers on ``aos.<tenant>.agent.<id>.invoke`` in the queue group ``agents``, says every five seconds that it lives,
and answers a repeated step id with what it answered before. Skills: ``extract_facts`` and ``redact``.
"""

import asyncio
import base64
import contextlib
import json
import os
import re
import signal
import urllib.error
import urllib.request
from collections import OrderedDict

import nats
from nats.aio.client import Client
from nats.aio.msg import Msg

TENANT = os.environ.get("AOS_TENANT", "default")
AGENT = os.environ.get("AOS_AGENT_ID", "extract")
HEARTBEAT_S = 5.0
REMEMBERED_STEPS = 1024
MOST_BYTES = 8 * 1024 * 1024
MOST_SHOWN = 200
NO_INVOCATION = {"code": "bad_request", "message": "This is not an invocation in JSON.", "retryable": False}

MONTHS = (
    "Jan(?:uary)?|Feb(?:ruary)?|Mar(?:ch)?|Apr(?:il)?|May|June?|July?|Aug(?:ust)?|Sep(?:t(?:ember)?)?"
    "|Oct(?:ober)?|Nov(?:ember)?|Dec(?:ember)?"
)
CURRENCY = r"(?:EUR|USD|GBP|CHF|euros?|dollars?|pounds?|€|\$|£)"
NUMBER = r"\d{1,3}(?:[ ,.]\d{3}){1,4}(?:[.,]\d{1,2})?|\d{1,15}(?:[.,]\d{1,2})?"
KINDS = {
    "email addresses": re.compile(r"\b[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}\b"),
    "web addresses": re.compile(r"\bhttps?://[^\s<>\"')\]]+|\bwww\.[\w-]+\.[^\s<>\"')\]]+"),
    "account numbers": re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b"),
    "dates": re.compile(
        rf"\b\d{{4}}-\d{{2}}-\d{{2}}\b|\b\d{{1,2}}[./]\d{{1,2}}[./]\d{{2,4}}\b"
        rf"|\b\d{{1,2}}(?:st|nd|rd|th)? (?:{MONTHS})\b(?: \d{{4}}\b)?|\b(?:{MONTHS}) \d{{1,2}}(?:, \d{{4}})?\b"
    ),
    "times": re.compile(r"\b(?:[01]?\d|2[0-3]):[0-5]\d(?::[0-5]\d)?(?: ?[ap]m\b)?|\b\d{1,2} ?[ap]m\b", re.IGNORECASE),
    "percentages": re.compile(r"\b\d+(?:[.,]\d+)? ?(?:%|percent\b|per cent\b)"),
    "amounts of money": re.compile(rf"(?:{CURRENCY} ?(?:{NUMBER})(?!\d)|\b(?:{NUMBER}) ?{CURRENCY}(?!\w))"),
    "telephone numbers": re.compile(
        r"(?<![\w.])(?:\+\d{1,3}|\(0?\d{1,4}\)|0\d{1,4})(?:[ /-]?\(?\d{2,8}\)?){1,5}(?![\w.]\d)"
    ),
}
ASKED = {
    "email addresses": r"e-?mails?", "web addresses": r"urls?|links?|web", "account numbers": r"ibans?|accounts?",
    "dates": r"dates?|when|deadlines?", "times": r"times?", "percentages": r"percent\w*",
    "amounts of money": r"amounts?|money|sums?|prices?|costs?", "telephone numbers": r"(?:tele)?phones?",
}  # fmt: skip
PERSONAL = {
    "email addresses": "email address",
    "web addresses": "web address",
    "account numbers": "account number",
    "telephone numbers": "telephone number",
}


class CannotDo(Exception):
    """What to tell the person who asked."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def facts(text: str) -> dict[str, list[str]]:
    """What was found by kind, each once, in order of appearance. A stretch of text belongs to one kind only."""
    found: dict[str, list[str]] = {}
    left = text
    for kind, pattern in KINDS.items():
        hits = [match.group().strip(" .,;") for match in pattern.finditer(left)]
        hits = [hit for hit in hits if kind != "account numbers" or is_iban(hit)]
        found[kind] = list(dict.fromkeys(hits))
        for hit in found[kind]:
            left = left.replace(hit, "\x00" * len(hit))
    return found


def is_iban(text: str) -> bool:
    """Whether the check digits are right (ISO 13616: rearranged and read as a number, the remainder by 97 is 1)."""
    plain = text.replace(" ", "")
    return len(plain) >= 15 and int("".join(str(int(c, 36)) for c in plain[4:] + plain[:4])) % 97 == 1


def extracted(goal: str, text: str) -> str:
    """The facts of the kinds that the goal names, or of all kinds."""
    found = facts(text)
    wanted = [kind for kind, words in ASKED.items() if re.search(rf"\b(?:{words})\b", goal, re.IGNORECASE)]
    shown = {kind: found[kind] for kind in wanted or KINDS if found[kind]}
    if not shown:
        return f"No {' and no '.join(wanted) if wanted else 'dates, amounts or addresses'} were found."
    return "\n".join(f"{kind.capitalize()}: {'; '.join(hits[:MOST_SHOWN])}" for kind, hits in shown.items())


def redacted(text: str) -> str:
    """The text with personal addresses and numbers blacked out."""
    found = facts(text)
    for kind in PERSONAL:
        for hit in sorted(found[kind], key=len, reverse=True):
            text = text.replace(hit, f"[{PERSONAL[kind]}]")
    return text


def content(invocation: dict) -> str:
    """Named texts are content; without any, what follows the instruction's colon or stands in its quotes."""
    named = [read(p) for p in invocation["inputs"] if p.get("modality") in (None, "text") and p.get("name")]
    if named:
        return "\n\n".join(named)
    said = "\n".join(p["text"] for p in invocation["inputs"] if p.get("text") and not p.get("name"))
    said = max(said, invocation.get("goal", ""), key=len)
    introduced = re.match(r"[^:\n]{1,160}(?::\s|\n)\s*(\S.*)$", said, re.DOTALL)
    inside = re.search(r"[\"“](.+)[\"”]", said, re.DOTALL)
    text = introduced.group(1) if introduced else inside.group(1) if inside else said
    if not text.strip():
        raise CannotDo("input_required", "There is no text to search. Attach a text or write it after a colon.")
    return text


def read(part: dict) -> str:
    """The text of a part: inline, or fetched from where the gateway keeps it."""
    if part.get("text") is not None:
        return part["text"]
    if part.get("data") is not None:
        return base64.b64decode(part["data"]).decode(errors="replace")
    url = (part.get("ref") or {}).get("url") or ""
    if not url.startswith(("http://", "https://")):
        message = f"{part.get('name', 'A part')} came by reference without an address to fetch it from."
        raise CannotDo("missing_content", message)
    with urllib.request.urlopen(url, timeout=20) as response:  # noqa: S310 - scheme checked above
        return response.read(MOST_BYTES).decode(errors="replace")


def answer(invocation: dict) -> dict:
    """The reply to an invocation."""
    step = invocation["step_id"]
    try:
        text = content(invocation)
        redact = invocation.get("skill_id") == "redact"
        said = redacted(text) if redact else extracted(invocation.get("goal", ""), text)
    except CannotDo as reason:
        return {"step_id": step, "error": {"code": reason.code, "message": str(reason), "retryable": False}}
    except (urllib.error.URLError, TimeoutError) as problem:
        return {"step_id": step, "error": {"code": "missing_content", "message": str(problem), "retryable": True}}
    except (ValueError, KeyError, TypeError, AttributeError):
        return {"step_id": step, "error": NO_INVOCATION}
    name = "redacted.txt" if redact else "facts.txt"
    return {"step_id": step, "outputs": [{"modality": "text", "media_type": "text/plain", "name": name, "text": said}]}


class Agent:
    """Answers each step once: a step that comes again gets the same answer."""

    def __init__(self) -> None:
        self._replies: OrderedDict[str, bytes] = OrderedDict()

    async def invoked(self, message: Msg) -> None:
        """One request of the bus."""
        try:
            invocation = json.loads(message.data)
            step = str(invocation["step_id"])
        except (ValueError, KeyError, TypeError):
            await message.respond(json.dumps({"step_id": "", "error": NO_INVOCATION}).encode())
            return
        if step not in self._replies:
            reply = await asyncio.to_thread(answer, invocation)
            if reply.get("error", {}).get("retryable"):
                await message.respond(json.dumps(reply).encode())
                return
            self._replies[step] = json.dumps(reply).encode()
            if len(self._replies) > REMEMBERED_STEPS:
                self._replies.popitem(last=False)
        await message.respond(self._replies[step])


async def beat(client: Client) -> None:
    """Say every five seconds that this agent is alive."""
    alive = json.dumps({"agent_id": AGENT, "tenant": TENANT}).encode()
    while True:
        with contextlib.suppress(nats.errors.Error):  # while reconnecting; the next beat tells
            await client.publish(f"aos.{TENANT}.agent.{AGENT}.heartbeat", alive)
        await asyncio.sleep(HEARTBEAT_S)


async def main() -> None:
    """Serve until asked to stop; then finish what is under way."""
    stop = asyncio.Event()
    for sign in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(sign, stop.set)
    url = os.environ.get("AOS_NATS_URL", "nats://127.0.0.1:4222")
    credentials = os.environ.get("AOS_NATS_CREDENTIALS") or None
    client = await nats.connect(
        url.split(","), name=f"agent {AGENT}", user_credentials=credentials, max_reconnect_attempts=-1
    )
    await client.subscribe(f"aos.{TENANT}.agent.{AGENT}.invoke", queue="agents", cb=Agent().invoked)
    beating = asyncio.create_task(beat(client))
    await stop.wait()
    beating.cancel()
    await client.drain()


if __name__ == "__main__":
    asyncio.run(main())
