"""How much a door lets in at once and at most. Set by the composition root, read by every use case of the doors."""

from dataclasses import dataclass

from schemas.parts import INLINE_LIMIT_BYTES

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class DoorLimits:
    """Plain numbers; every queue and buffer of the doors is bounded by one of them."""

    inline_bytes: int = INLINE_LIMIT_BYTES
    """What one task may carry inside its message; the rest goes to the object store."""
    json_body_bytes: int = 8 * MIB
    attachment_bytes: int = 2 * 1024 * MIB
    inspected_bytes: int = 8 * MIB
    """Attachments up to this size are decoded before the task is accepted."""
    uploads: int = 64
    """Streams into the object store at once; each holds up to 32 MiB."""
    publish_timeout_s: float = 5.0
    """How long the bus may take to accept a task before the client hears 503."""
    publishes_in_flight: int = 256
    publishes_waiting: int = 4096
    wait_s: float = 300.0
    """The longest ``?wait=``."""
    stalled_s: float = 60.0
    """How long a client may send nothing, or far too little, of its request, or take nothing of its answer."""
    followers: int = 1000
    """Event streams open at once."""
    service_timeout_s: float = 30.0
    """How long a worker may take to answer a search or a dry run."""
