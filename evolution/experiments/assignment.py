"""Which arm of an experiment a task belongs to: the hash that routing uses too, by the names this layer calls it."""

from schemas.assignment import CONTROL, TREATMENT, arm_of, position

__all__ = ["CONTROL", "TREATMENT", "arm_of", "position"]
