"""When a new version of a policy is due: after so many outcomes, or after some time when there is any news; sooner

once a newcomer was auditioned. Used by ``school``.
"""

from dataclasses import dataclass

EARLY_GROWTH = 0.25
"""The first versions come after so much more than the one before had learned from: how far cards are to be believed,
and how far the past, fifty outcomes tell better than no outcomes do."""
SEASONED_OUTCOMES = 2_000
"""With so many outcomes behind it, a policy has new versions less and less often."""


@dataclass(frozen=True, slots=True)
class Terms:
    """When a version is due."""

    every_outcomes: int = 500
    every_s: float = 300.0
    least_outcomes: int = 50
    least_s: float = 10.0

    def are_met(self, events: int, new: int, since_s: float, *, urgent: bool = False) -> bool:
        """Of a policy that learned from ``events`` outcomes, ``new`` of them since its version of so long ago."""
        if new == 0 or events < self.least_outcomes:
            return False
        # A version costs workers and this process the more the more it remembers; what is newer they hear meanwhile.
        least_s = min(self.least_s * max(1.0, events / SEASONED_OUTCOMES), self.every_s)
        enough = min(self.every_outcomes, EARLY_GROWTH * (events - new))
        return since_s >= (least_s if urgent or new >= enough else self.every_s)
