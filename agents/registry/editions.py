"""Numbers the changes of each tenant's agents, so that what was decided for a tenant is kept while they stay the same.

Written by the fleet and its health board, read through ``ports.Fleet``.
"""


class Editions:
    """The number of each tenant's latest change, none given twice. Of tenants without agents nothing is kept."""

    def __init__(self) -> None:
        self._latest = 0
        self._of: dict[str, int] = {}
        self._of_others = 0

    def of(self, tenant: str) -> int:
        """Grows with every change of that tenant's agents."""
        return self._of.get(tenant, self._of_others)

    def changed(self, tenant: str) -> None:
        """An agent of the tenant came, changed, left, fell silent or was heard again."""
        self._latest += 1
        self._of[tenant] = self._latest

    def emptied(self, tenant: str) -> None:
        """The tenant's last agent left."""
        self._latest += 1
        self._of.pop(tenant, None)
        self._of_others = self._latest
