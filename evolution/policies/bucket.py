"""Policies in their key-value bucket: versions that never change, and one state for each tenant. Used by ``registry``.

A version is stored as its file: whatever was cut off or edited by hand is refused whole. A state is written with
compare-and-set, so that of two people at once one is told to look again.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import nats.errors
from nats.js import JetStreamContext
from nats.js.api import RawStreamMsg
from nats.js.errors import KeyNotFoundError, KeyWrongLastSequenceError, NotFoundError
from nats.js.kv import KV_OP, KeyValue
from pydantic import ValidationError

from evolution.errors import ChangedMeanwhile, PolicyBucketUnavailable, PolicyDamaged, PolicyExists, PolicyNotFound
from schemas import subjects
from schemas.base import is_token
from schemas.policy import PolicySnapshot, PolicyUnreadable, loads
from schemas.policy_state import PolicyState, PriorComparison

BUILT_IN = "cosine-1"
"""The policy that is always there: it has learned nothing, so it has no version in the bucket."""

_STREAM = f"KV_{subjects.BUCKET_POLICY}"
_SUBJECT = f"$KV.{subjects.BUCKET_POLICY}."


@dataclass(frozen=True, slots=True)
class HeldState:
    """A tenant's state as it was read; ``revision`` 0 when there was none."""

    state: PolicyState
    revision: int


class PolicyBucket:
    """Reads and writes of one bucket. Safe for concurrent use; an absent bus is PolicyBucketUnavailable."""

    def __init__(self, js: JetStreamContext) -> None:
        self._js = js
        self._opened: KeyValue | None = None

    async def state(self, tenant: str) -> HeldState:
        """What applies now; the default state when nobody ever changed it. Raises PolicyDamaged."""
        with _reported("read the policy state"):
            try:
                entry = await (await self._bucket()).get(_state_key(tenant))
            except KeyNotFoundError as missing:
                revision = missing.entry.revision if missing.entry else 0
                return HeldState(PolicyState(tenant=tenant), revision or 0)
        return HeldState(_state_of(entry.value or b"", tenant), entry.revision or 0)

    async def write(self, held: HeldState, state: PolicyState) -> HeldState:
        """Replace the state that was read. Raises ChangedMeanwhile when it is not the present one any more."""
        body = state.model_dump_json().encode()
        with _reported("write the policy state"):
            try:
                revision = await (await self._bucket()).update(_state_key(state.tenant), body, last=held.revision)
            except KeyWrongLastSequenceError as error:
                raise ChangedMeanwhile(
                    f"the policies of tenant {state.tenant} were changed by somebody else meanwhile: look, then repeat"
                ) from error
        return HeldState(state, revision)

    async def comparison(self, tenant: str) -> PriorComparison | None:
        """How the policy in force last compared with the prior; None where it never was, or cannot be read."""
        with _reported("read how policies compared"):
            try:
                entry = await (await self._bucket()).get(subjects.prior_comparison_key(_checked(tenant)))
                return PriorComparison.from_peer(entry.value or b"")
            except (KeyNotFoundError, ValidationError):
                return None

    async def note(self, comparison: PriorComparison) -> None:
        """Keep a comparison with the prior; the bucket remembers the 63 before it."""
        key = subjects.prior_comparison_key(_checked(comparison.tenant))
        with _reported("keep how policies compared"):
            await (await self._bucket()).put(key, comparison.model_dump_json().encode())

    async def changes(self, tenant: str) -> tuple[PolicyState, ...]:
        """The states that the bucket remembers (64 at most), oldest first; a damaged one is passed over."""
        found = []
        async for message in self._messages(f"{_SUBJECT}{_state_key(tenant)}"):
            try:
                found.append(_state_of(message.data or b"", tenant))
            except PolicyDamaged:
                continue
        return tuple(found)

    async def tenants(self) -> tuple[str, ...]:
        """Every tenant that has a state."""
        ending = f".{subjects.POLICY_STATE}"
        return tuple(key.removesuffix(ending) for key in await self._keys("*" + ending))

    async def names(self, tenant: str) -> tuple[str, ...]:
        """The names of the tenant's versions, sorted."""
        start = f"{_checked(tenant)}.v-"
        return tuple(key.removeprefix(start) for key in await self._keys(f"{tenant}.*") if key.startswith(start))

    async def everything(self) -> tuple[tuple[str, str], ...]:
        """Tenant and name of every version there is, sorted."""
        split = (key.split(".v-", 1) for key in await self._keys("*.*"))
        return tuple((tenant, name) for tenant, *rest in split for name in rest)

    async def version(self, tenant: str, policy: str) -> PolicySnapshot:
        """One version. Raises PolicyNotFound, and PolicyDamaged for one that is not as it was written."""
        return read_version(await self.content(tenant, policy), policy)

    async def content(self, tenant: str, policy: str) -> bytes:
        """A version's file as it is stored. Raises PolicyNotFound."""
        if not (is_token(tenant) and is_token(policy)):
            raise _no_policy(tenant, policy)
        with _reported("read the policy"):
            try:
                entry = await (await self._bucket()).get(subjects.policy_version_key(tenant, policy))
            except KeyNotFoundError as error:
                raise _no_policy(tenant, policy) from error
        return entry.value or b""

    async def put(self, tenant: str, content: bytes) -> PolicySnapshot:
        """Store a version's file under the name that it says. The same file again changes nothing.

        Raises PolicyDamaged for what is no whole policy file, PolicyExists when the name has another content.
        """
        snapshot = await asyncio.to_thread(read_version, content)
        if not is_token(snapshot.policy) or snapshot.policy == BUILT_IN:
            raise PolicyExists(f"a policy cannot be called {snapshot.policy!r}: 1-64 letters, digits, '_' and '-'")
        key = subjects.policy_version_key(tenant, snapshot.policy)
        with _reported("store the policy"):
            try:
                await (await self._bucket()).create(key, content)
            except KeyWrongLastSequenceError as error:
                if await self.content(tenant, snapshot.policy) != content:
                    raise PolicyExists(
                        f"policy {snapshot.policy} is there with another content; versions are never changed: "
                        "give the new one a name of its own"
                    ) from error
        return snapshot

    async def forget(self, tenant: str, policy: str) -> None:
        """Take a version out for good, without a marker. Whether anybody still needs it is the caller's to know."""
        with _reported("forget the policy"):
            await self._js.purge_stream(_STREAM, subject=_SUBJECT + subjects.policy_version_key(tenant, policy))

    async def _bucket(self) -> KeyValue:
        if self._opened is None:
            self._opened = await self._js.key_value(subjects.BUCKET_POLICY)
        return self._opened

    async def _keys(self, pattern: str) -> list[str]:
        with _reported("list the policies"):
            info = await self._js.stream_info(_STREAM, subjects_filter=_SUBJECT + pattern)
        return sorted(subject.removeprefix(_SUBJECT) for subject in info.state.subjects or {})

    async def _messages(self, subject: str) -> AsyncIterator[RawStreamMsg]:
        following = 1
        while True:
            with _reported("read what was changed"):
                try:
                    message = await self._js.get_msg(_STREAM, seq=following, subject=subject, next=True)
                except NotFoundError:
                    return
            if KV_OP not in (message.headers or {}):
                yield message
            following = (message.seq or following) + 1


def read_version(content: bytes, policy: str | None = None) -> PolicySnapshot:
    """The snapshot in a version's file. Raises PolicyDamaged, saying what to do."""
    name = policy or "the file"
    try:
        snapshot = loads(content)
    except PolicyUnreadable as error:
        raise PolicyDamaged(
            f"{name} is refused: {error}. A policy file is never edited by hand: its checksum would be wrong; learn a "
            "new version, or restore the file as it was exported"
        ) from error
    if policy is not None and snapshot.policy != policy:
        raise PolicyDamaged(f"what is stored as {policy} calls itself {snapshot.policy}: somebody copied it there")
    return snapshot


def _state_of(value: bytes, tenant: str) -> PolicyState:
    try:
        state = PolicyState.model_validate_json(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"])) or "body"
        raise PolicyDamaged(
            f"the policy state of tenant {tenant} was written by hand and cannot be read ({where}: {first['msg']}). "
            f"Workers keep what they have; restore it with: nats kv revert {subjects.BUCKET_POLICY} {tenant}.state"
        ) from error
    if state.tenant != tenant:
        raise PolicyDamaged(f"the policy state of tenant {tenant} says that it is of {state.tenant}")
    return state


def _state_key(tenant: str) -> str:
    return subjects.policy_state_key(_checked(tenant))


def _checked(tenant: str) -> str:
    if not is_token(tenant):
        raise PolicyNotFound(f"{tenant!r} is no tenant")
    return tenant


def _no_policy(tenant: str, policy: str) -> PolicyNotFound:
    return PolicyNotFound(f"tenant {tenant} has no policy {policy!r}; `aos policy list` shows those there are")


@contextmanager
def _reported(doing: str) -> Iterator[None]:
    """Failures of the bus in this package's words."""
    try:
        yield
    except (nats.errors.Error, OSError) as error:
        raise PolicyBucketUnavailable(f"cannot {doing}: the bus answers {error!r}") from error
