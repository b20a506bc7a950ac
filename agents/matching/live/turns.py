"""Which tenants' policies lie in memory when not all fit: those that were asked for last. Kept by ``feed``."""

from collections import OrderedDict
from collections.abc import Mapping

ROOM_BYTES = 2_048 * 1_024 * 1_024
"""For all policies of a worker. That of a busy tenant takes 32 MB and more, one of fifty tasks 1 MB."""


class Turns:
    """Policies are read from the bus: whoever is put away is read again when its tenant comes back."""

    def __init__(self, room_bytes: int = ROOM_BYTES) -> None:
        self._room_bytes = room_bytes
        self._asked: OrderedDict[str, None] = OrderedDict()
        self._away: set[str] = set()

    def asked(self, tenant: str) -> bool:
        """A task of the tenant is there; whether its policies have to be read again for the next ones."""
        self._asked[tenant] = None
        self._asked.move_to_end(tenant)
        back = tenant in self._away
        self._away.discard(tenant)
        return back

    def is_away(self, tenant: str) -> bool:
        """Whether its policies were put away, and nobody has asked since."""
        return tenant in self._away

    def must_wait(self, tenant: str, sizes: Mapping[str, int]) -> bool:
        """Whether it is not to be read before somebody asks: nobody ever did, and there is no room.

        ``sizes`` tells the bytes that each tenant's policies take.
        """
        if tenant not in self._asked and sum(sizes.values()) >= self._room_bytes:
            self._away.add(tenant)
        return tenant in self._away

    def put_away(self, newest: str, sizes: Mapping[str, int]) -> list[str]:
        """Who makes room: nobody asked for them, or longest ago. The newest, if it was asked for, stays."""
        over = sum(sizes.values()) - self._room_bytes
        never = [tenant for tenant in sizes if tenant not in self._asked]
        leaving: list[str] = []
        for tenant in (*never, *self._asked):
            if over <= 0:
                break
            wanted = tenant == newest and tenant in self._asked
            if tenant in sizes and not wanted:
                over -= sizes[tenant]
                leaving.append(tenant)
        for tenant in leaving:
            self._asked.pop(tenant, None)
            self._away.add(tenant)
        return leaving

    def forget(self, tenant: str) -> None:
        """Nothing is in force for it any more."""
        self._asked.pop(tenant, None)
        self._away.discard(tenant)
