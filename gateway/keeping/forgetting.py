"""Forgets tasks wherever the bus and the object store keep them. Called by `aos experience forget` and after mining.

What another task needs, too, stays: contents are addressed by what they are, so two tasks may share one. A task that is
under way keeps what it has. Done again it does no harm; of a run that was killed after a task's record went, the
contents go by age (``contents``).
"""

from collections.abc import Collection
from dataclasses import dataclass

import nats.errors
from nats.aio.client import Client
from nats.js import JetStreamContext
from pydantic import ValidationError

from agents.errors import BusUnavailable
from agents.registry.kv_feed import KvEntry, snapshot
from evolution.errors import PolicyDamaged
from evolution.rules.keeping import Patterns
from gateway.auditions.keeping import Auditions
from gateway.keeping.references import References
from gateway.keeping.traces import Traces
from schemas import subjects
from schemas.refinement import PlanTemplate
from tensor_layer.errors import ContentsOfAnother
from tensor_layer.storage.unused import UnusedContents


@dataclass(frozen=True, slots=True)
class Forgot:
    """How much is gone. ``under_way`` are tasks that have not ended, of which the bus keeps all it has.

    ``kept`` are contents of forgotten tasks that stay, for another task, a dead letter or a policy names them, somebody
    used them meanwhile, or nobody could tell (``problem``).
    """

    patterns: int = 0
    auditions: int = 0
    plans: int = 0
    letters: int = 0
    contents: int = 0
    kept: int = 0
    under_way: tuple[str, ...] = ()
    problem: str = ""


class Forgetting:
    """One bus and its object store. Raises BusUnavailable, BlobStoreUnavailable, RulesUnavailable."""

    def __init__(self, nc: Client, js: JetStreamContext, contents: UnusedContents) -> None:
        self._js = js
        self._traces = Traces(nc, js)
        self._references = References(nc, js)
        self._contents = contents

    async def forget(self, tenant: str, tasks: Collection[str]) -> Forgot:
        """All that is kept of these tasks there."""
        if not tasks:
            return Forgot()
        moment = await self._contents.moment()  # before anything is gone: a store that does not answer ends it here
        left = await self._traces.of(tenant, tasks)
        await self._traces.remove(tenant, left)
        plans = await self._plans(tenant, frozenset(left.ended))
        gone, problem = 0, ""
        try:
            if left.contents:
                await self._contents.claim(await self._references.bus())
                named = await self._references.among(left.contents)
                for digest in sorted(left.contents - named):
                    gone += await self._contents.remove(digest, moment) is not None
        except (PolicyDamaged, ContentsOfAnother) as error:
            problem = str(error)
        return Forgot(
            patterns=await Patterns(self._js).forget(tenant, tasks),
            auditions=await Auditions(self._js).forget(tenant, tasks),
            plans=plans,
            letters=len(left.letters),
            contents=gone,
            kept=len(left.contents) - gone,
            under_way=left.under_way,
            problem=problem,
        )

    async def _plans(self, tenant: str, tasks: Collection[str]) -> int:
        """Kinds that these tasks founded, whose vector is theirs; the next task like them founds another."""
        gone = [
            entry.key
            for entry in await snapshot(self._js, subjects.BUCKET_PLANS, f"{tenant}.*")
            if not entry.removed and _is_of(entry, tasks)
        ]
        try:
            bucket = await self._js.key_value(subjects.BUCKET_PLANS)
            for key in gone:
                await bucket.purge(key)
        except (nats.errors.Error, OSError) as error:
            raise BusUnavailable(f"plans cannot be removed: {error!r}") from error
        return len(gone)


def _is_of(entry: KvEntry, tasks: Collection[str]) -> bool:
    """Plans of releases that did not say who founded them may be anybody's: they are made anew, too."""
    if entry.key.partition(".")[2] == subjects.PLANNING_PAST:
        return False
    try:
        founder = PlanTemplate.from_peer(entry.value).founder
    except ValidationError:
        founder = ""
    return not founder or founder in tasks
