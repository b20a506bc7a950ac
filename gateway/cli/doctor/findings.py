"""What ``aos doctor`` found of one thing. Made by the checks, shown by the command."""

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """What a finding means."""

    OK = "ok"
    OPTIONAL = "optional"
    WARNING = "warning"
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at. ``remedy`` says how to get what is missing."""

    name: str
    verdict: Verdict
    found: str
    remedy: str = ""
