"""The pupils in memory: as many as fit. Who heard nothing for longest leaves first. Kept by ``school``."""

import logging
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from datetime import datetime

from agents.matching.live.lessons import dimension_of
from gateway.learning.pupil import Pupil
from schemas.experience import ExperienceRecord

logger = logging.getLogger(__name__)


class Classroom:
    """Of each tenant at most one pupil. Whoever leaves has lost nothing: the store has the past, to be studied anew."""

    def __init__(self, room_bytes: int) -> None:
        self._room_bytes = room_bytes
        self._pupils: OrderedDict[str, Pupil] = OrderedDict()

    def __contains__(self, tenant: str) -> bool:
        return tenant in self._pupils

    def all(self) -> list[tuple[str, Pupil]]:
        """Every pupil with its tenant, who heard nothing for longest first."""
        return list(self._pupils.items())

    def of(self, tenant: str) -> Pupil | None:
        """The tenant's pupil, which hears something now."""
        if tenant in self._pupils:
            self._pupils.move_to_end(tenant)
        return self._pupils.get(tenant)

    def lots(self, records: Sequence[ExperienceRecord]) -> list[tuple[Pupil, list[ExperienceRecord]]]:
        """Each pupil's share, in their order. New tenants get a pupil; a record without a vector teaches nobody."""
        lots: dict[int, tuple[Pupil, list[ExperienceRecord]]] = {}
        for record in records:
            pupil = self._for(record)
            if pupil is not None:
                lots.setdefault(id(pupil), (pupil, []))[1].append(record)
        return list(lots.values())

    def _for(self, record: ExperienceRecord) -> Pupil | None:
        """The tenant's. Vectors of another encoder mean something else: then it starts afresh."""
        dimension, encoder = dimension_of(record), record.vector_version
        if dimension == 0 or encoder is None:
            return None
        pupil = self.of(record.tenant)
        if pupil is not None and (pupil.encoder, pupil.dimension) == (encoder, dimension):
            return pupil
        if pupil is not None:
            logger.warning("tenant %s has a new encoder, %s: what was learned starts afresh", record.tenant, encoder)
        fresh = self._pupils[record.tenant] = Pupil(dimension, encoder)
        self._pupils.move_to_end(record.tenant)
        return fresh

    def leave(self, tenant: str) -> datetime | None:
        """Give its memory back. What it knew went until the moment that is told, if there is a version of all that."""
        pupil = self._pupils.pop(tenant, None)
        return pupil.until if pupil is not None and pupil.new == 0 else None

    def too_many(self) -> Iterator[str]:
        """Whose pupils have to leave for the others to fit; the last one stays, however large."""
        over = sum(pupil.size_bytes for pupil in self._pupils.values()) - self._room_bytes
        for tenant, pupil in self.all()[:-1]:
            if over <= 0:
                return
            over -= pupil.size_bytes
            yield tenant
