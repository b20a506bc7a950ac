"""Patterns and rules in their key-value buckets. Called by `aos mine`, `aos rules` and the evolution role's schedule.

Patterns of a run replace those of the run before. Rules are one record of a tenant, written with compare-and-set, so
that of two people at once one is told to look again.
"""

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import nats.errors
from nats.js import JetStreamContext
from nats.js.errors import BucketNotFoundError, KeyNotFoundError, KeyWrongLastSequenceError
from nats.js.kv import KeyValue
from pydantic import ValidationError

from evolution.errors import ChangedMeanwhile, NoRuleInPattern, PatternNotFound, RulesUnavailable
from evolution.rules.making import AutomaticRules, makes_itself, rule_of
from schemas import subjects
from schemas.base import is_token
from schemas.pattern import SynthesizedPattern
from schemas.routing_rule import RoutingRule, RoutingRules

POLICY_ACTOR = "aos-evolution"
WATCH_TIMEOUT_S = 10.0


class Patterns:
    """The patterns of the last run of mining."""

    def __init__(self, js: JetStreamContext) -> None:
        self._js = js

    async def replace(self, tenant: str, patterns: Sequence[SynthesizedPattern]) -> None:
        """These are the tenant's patterns now. Raises RulesUnavailable."""
        with _reported("keep the patterns"):
            bucket = await self._js.key_value(subjects.BUCKET_PATTERNS)
            for pattern in patterns:
                await bucket.put(subjects.record_key(tenant, pattern.pattern_id), pattern.model_dump_json().encode())
            current = {subjects.record_key(tenant, pattern.pattern_id) for pattern in patterns}
            for key in await _entries(bucket, tenant):
                if key not in current:
                    await bucket.purge(key)

    async def all(self, tenant: str) -> list[SynthesizedPattern]:
        """Kinds first, then rules and drifts, each with the strongest evidence first. Raises RulesUnavailable."""
        with _reported("read the patterns"):
            entries = await _entries(await self._js.key_value(subjects.BUCKET_PATTERNS), tenant)
        found = [_read(body) for body in entries.values()]
        order = {"kind": 0, "rule": 1, "drift": 2}
        readable = [pattern for pattern in found if pattern is not None]
        return sorted(readable, key=lambda p: (order[p.kind], p.error_rate or 0.0, -(p.lift or 0.0), p.statement))

    async def forget(self, tenant: str, tasks: Collection[str]) -> int:
        """Remove the patterns that name or quote one of these tasks; answers how many. Raises RulesUnavailable."""
        gone = [pattern for pattern in await self.all(tenant) if not set(tasks).isdisjoint(pattern.examples)]
        with _reported("remove patterns"):
            bucket = await self._js.key_value(subjects.BUCKET_PATTERNS)
            for pattern in gone:
                await bucket.purge(subjects.record_key(tenant, pattern.pattern_id))
        return len(gone)

    async def one(self, tenant: str, pattern_id: str) -> SynthesizedPattern:
        """The pattern with that id, or the only one whose id begins so. Raises PatternNotFound, RulesUnavailable."""
        found = [p for p in await self.all(tenant) if p.pattern_id.startswith(pattern_id)] if pattern_id else []
        if len(found) != 1:
            many = f"{len(found)} patterns begin with" if found else "there is no pattern"
            raise PatternNotFound(f"{many} {pattern_id!r} of tenant {tenant}; see `aos mine list`")
        return found[0]


@dataclass(frozen=True, slots=True)
class HeldRules:
    """Rules as they were read; ``revision`` 0 when there were none."""

    rules: RoutingRules
    revision: int


class Rules:
    """A tenant's routing rules."""

    def __init__(self, js: JetStreamContext) -> None:
        self._js = js

    async def read(self, tenant: str) -> HeldRules:
        """Raises RulesUnavailable, also for a record that was edited by hand and does not read."""
        with _reported("read the routing rules"):
            bucket = await self._js.key_value(subjects.BUCKET_POLICY)
            try:
                entry = await bucket.get(_key(tenant))
            except KeyNotFoundError as missing:
                return HeldRules(RoutingRules(tenant=tenant), (missing.entry.revision if missing.entry else 0) or 0)
        try:
            return HeldRules(RoutingRules.model_validate_json(entry.value or b""), entry.revision or 0)
        except ValidationError as error:
            raise RulesUnavailable(
                f"the routing rules of tenant {tenant} do not read: {error}. Mend them, or remove key {_key(tenant)}"
            ) from error

    async def add(self, tenant: str, rule: RoutingRule) -> RoutingRules:
        """Add the rule, or replace the one of the same id. Raises ChangedMeanwhile, RulesUnavailable."""
        held = await self.read(tenant)
        others = tuple(each for each in held.rules.rules if each.rule_id != rule.rule_id)
        return await self._write(held, (*others, rule))

    async def remove(self, tenant: str, rule_id: str) -> RoutingRules:
        """Take a rule back. Raises PatternNotFound when there is none of that id, ChangedMeanwhile."""
        held = await self.read(tenant)
        others = tuple(each for each in held.rules.rules if each.rule_id != rule_id)
        if len(others) == len(held.rules.rules):
            raise PatternNotFound(f"there is no routing rule {rule_id!r} of tenant {tenant}; see `aos rules list`")
        return await self._write(held, others)

    async def follow(
        self, tenant: str, patterns: Sequence[SynthesizedPattern], automatic: AutomaticRules
    ) -> RoutingRules | None:
        """Make the automatic rules what these patterns ask for; rules that people made stay. None: nothing changed.

        An automatic rule whose pattern is no longer found goes. Of a pattern that a person's rule covers, none is made.
        """
        held = await self.read(tenant)
        by_hand = tuple(rule for rule in held.rules.rules if not rule.automatic)
        covered = {rule.pattern_id for rule in by_hand}
        before = {rule.rule_id: rule for rule in held.rules.rules if rule.automatic}
        wanted = []
        for pattern in patterns:
            if makes_itself(pattern, automatic) and pattern.pattern_id not in covered:
                try:
                    rule = rule_of(pattern, POLICY_ACTOR).model_copy(update={"automatic": True})
                except NoRuleInPattern:
                    continue
                wanted.append(before.get(rule.rule_id, rule))
        if {rule.rule_id for rule in wanted} == before.keys():
            return None
        return await self._write(held, (*by_hand, *wanted))

    async def _write(self, held: HeldRules, rules: tuple[RoutingRule, ...]) -> RoutingRules:
        tenant = held.rules.tenant
        try:
            written = RoutingRules(tenant=tenant, rules=rules)
        except ValidationError as error:
            raise RulesUnavailable(f"tenant {tenant} has too many rules; remove some first: {error}") from error
        with _reported("write the routing rules"):
            bucket = await self._js.key_value(subjects.BUCKET_POLICY)
            try:
                await bucket.update(_key(tenant), written.model_dump_json().encode(), last=held.revision)
            except KeyWrongLastSequenceError as error:
                raise ChangedMeanwhile(
                    f"the routing rules of tenant {tenant} were changed by somebody else meanwhile: look, then repeat"
                ) from error
        return written


def _key(tenant: str) -> str:
    if not is_token(tenant):
        raise RulesUnavailable(f"{tenant!r} is no tenant: use 1-64 letters, digits, '_' and '-'")
    return subjects.routing_rules_key(tenant)


async def _entries(bucket: KeyValue, tenant: str) -> dict[str, bytes]:
    """A tenant's keys and values."""
    found: dict[str, bytes] = {}
    watcher = await bucket.watch(f"{tenant}.*", ignore_deletes=True)
    try:
        while (entry := await watcher.updates(WATCH_TIMEOUT_S)) is not None:  # type: ignore[no-untyped-call] # as nats-py has it
            found[entry.key] = entry.value or b""
    finally:
        await watcher.stop()  # type: ignore[no-untyped-call]
    return found


def _read(body: bytes) -> SynthesizedPattern | None:
    """A pattern that another release wrote differently must not hide the others."""
    try:
        return SynthesizedPattern.from_peer(body)
    except ValidationError:
        return None


@contextmanager
def _reported(doing: str) -> Iterator[None]:
    try:
        yield
    except BucketNotFoundError as error:
        raise RulesUnavailable(f"cannot {doing}: the bucket is not there yet; it appears when a role starts") from error
    except (nats.errors.Error, OSError) as error:
        raise RulesUnavailable(
            f"cannot {doing}: the bus does not answer ({str(error) or type(error).__name__})"
        ) from error
