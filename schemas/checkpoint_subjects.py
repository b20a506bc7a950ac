"""Where the checkpoints of runs are stored on the bus, and what a subject says. Used by ``agents.running`` only."""

import re
from dataclasses import dataclass

from schemas.subjects import token

ALL = "aos_checkpoint.>"
CHECKPOINTS_ONLY = "aos_checkpoint.*.*.*.c"
_ROOT = "aos_checkpoint"
_UNSAFE = re.compile(r"[^A-Za-z0-9_-]+")
_ESCAPED = re.compile(r"(?:=[0-9A-F]{2})+")


def of_thread(thread_id: str) -> str:
    """Everything stored of one thread: the filter to read or purge it."""
    return f"{_ROOT}.{_word(thread_id)}.>"


def in_namespace(thread_id: str, namespace: str) -> str:
    """Everything stored of one namespace of a thread."""
    return f"{_ROOT}.{_word(thread_id)}.{_word(namespace)}.>"


def of_checkpoint(thread_id: str, namespace: str, checkpoint_id: str) -> str:
    """Everything stored of one checkpoint: itself and the writes that followed it."""
    return f"{_ROOT}.{_word(thread_id)}.{_word(namespace)}.{_word(checkpoint_id)}.>"


def checkpoint(thread_id: str, namespace: str, checkpoint_id: str) -> str:
    """Where one checkpoint is stored."""
    return f"{_ROOT}.{_word(thread_id)}.{_word(namespace)}.{_word(checkpoint_id)}.c"


def writes(thread_id: str, namespace: str, checkpoint_id: str, task_id: str, slot: str) -> str:
    """Where the writes of one graph task are stored until the next checkpoint holds them."""
    head = f"{_ROOT}.{_word(thread_id)}.{_word(namespace)}.{_word(checkpoint_id)}"
    return f"{head}.w.{_word(task_id)}.{token(slot)}"


def part(subject: str, digest: str, index: int) -> str:
    """Where a further part of a checkpoint message lies that is larger than the bus carries."""
    return f"{subject}.p.{token(digest)}.{index}"


@dataclass(frozen=True, slots=True)
class CheckpointAddress:
    """What the subject of a stored checkpoint message says. ``task_id`` and ``slot`` are of writes only."""

    thread_id: str
    namespace: str
    checkpoint_id: str
    task_id: str | None = None
    slot: str | None = None


def address(subject: str) -> CheckpointAddress | None:
    """What the subject says; None for a further part of a large message."""
    words = subject.split(".")[1:]
    thread_id, namespace, checkpoint_id = (_unword(word) for word in words[:3])
    if words[3:] == ["c"]:
        return CheckpointAddress(thread_id, namespace, checkpoint_id)
    if words[3] == "w" and len(words) == 6:
        return CheckpointAddress(thread_id, namespace, checkpoint_id, _unword(words[4]), words[5])
    return None


def _word(text: str) -> str:
    """Any text as one readable token: letters, digits, '_' and '-' as they are, other bytes as '=' and two digits."""
    return _UNSAFE.sub(lambda found: "".join(f"={byte:02X}" for byte in found[0].encode()), text) or "="


def _unword(word: str) -> str:
    return _ESCAPED.sub(lambda found: bytes.fromhex(found[0].replace("=", "")).decode(), word) if word != "=" else ""
