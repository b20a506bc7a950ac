"""Speaks with one InfluxDB 2 server: retries what may pass, says the rest in words. Called by the InfluxDB store."""

import asyncio
import logging
import random
from collections.abc import Callable
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, TypeVar

from influxdb_client import BucketRetentionRules, InfluxDBClient, WritePrecision
from influxdb_client.client.exceptions import InfluxDBError
from influxdb_client.client.flux_csv_parser import FluxCsvParserException, FluxQueryException
from influxdb_client.client.write_api import SYNCHRONOUS
from influxdb_client.rest import ApiException
from urllib3.exceptions import HTTPError

from evolution.errors import ExperienceRefused, ExperienceStoreUnavailable
from evolution.store.influx_flux import Flux

logger = logging.getLogger(__name__)

Result = TypeVar("Result")

_PASSING = frozenset(
    {
        HTTPStatus.REQUEST_TIMEOUT,
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.INTERNAL_SERVER_ERROR,
        HTTPStatus.BAD_GATEWAY,
        HTTPStatus.SERVICE_UNAVAILABLE,
        HTTPStatus.GATEWAY_TIMEOUT,
    }
)
_REFUSED = frozenset({HTTPStatus.BAD_REQUEST, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.UNPROCESSABLE_ENTITY})
_DENIED = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})


class BucketMissing(Exception):
    """The tenant's bucket does not exist yet."""


class InfluxServer:
    """Write, query, delete, create buckets; each call in a thread, at most ``in_flight`` at once (back-pressure).

    ``attempts`` tries with exponential back-off and full jitter from ``backoff_s``, or what Retry-After asks, up to
    ``backoff_max_s`` each. Raises ExperienceStoreUnavailable, ExperienceRefused (the server will never take these
    lines) and BucketMissing.
    """

    def __init__(
        self,
        url: str,
        *,
        token: str,
        org: str,
        timeout_s: float = 10.0,
        attempts: int = 5,
        backoff_s: float = 0.2,
        backoff_max_s: float = 10.0,
        in_flight: int = 4,
    ) -> None:
        self._url = url
        self._org = org
        self._attempts = attempts
        self._backoff_s = backoff_s
        self._backoff_max_s = backoff_max_s
        self._slots = asyncio.Semaphore(in_flight)
        self._client = InfluxDBClient(
            url, token=token, org=org, timeout=int(timeout_s * 1000), connection_pool_maxsize=in_flight
        )
        self._write_api = self._client.write_api(write_options=SYNCHRONOUS)
        self._query_api = self._client.query_api()

    async def write(self, bucket: str, lines: str) -> None:
        """Line protocol, acknowledged by the server."""
        await self._call(
            lambda: self._write_api.write(bucket, record=lines.encode(), write_precision=WritePrecision.NS)
        )

    async def query(self, flux: Flux) -> list[dict[str, Any]]:
        """The rows of all tables, in order, each as its columns' values."""
        try:
            tables = await self._call(lambda: self._query_api.query(flux.text, params=flux.parameters))
        except ExperienceRefused as error:
            raise ExperienceStoreUnavailable(f"InfluxDB does not understand the query: {error}") from error
        return [record.values for table in tables for record in table.records]

    async def create_bucket(self, name: str, retention_s: int) -> None:
        """Nothing happens when the bucket is there already, or another process is quicker."""
        rule = BucketRetentionRules(type="expire", every_seconds=retention_s)
        try:
            await self._call(
                lambda: self._client.buckets_api().create_bucket(
                    bucket_name=name, retention_rules=rule, org=self._org, description="AOS experience"
                )
            )
        except ExperienceRefused as refusal:
            if "already exists" not in str(refusal):
                raise ExperienceStoreUnavailable(f"InfluxDB does not create bucket {name}: {refusal}") from refusal

    async def delete(self, bucket: str, start_ns: int, stop_ns: int, predicate: str) -> None:
        """Remove the points of that time and predicate: a measurement and tags, joined by AND; fields it cannot name.

        Nothing there is no error. The server hides them at once and writes over them when it compacts.
        """
        span = rfc3339(start_ns), rfc3339(stop_ns)
        try:
            await self._call(lambda: self._client.delete_api().delete(*span, predicate, bucket=bucket, org=self._org))
        except ExperienceRefused as refusal:
            raise ExperienceStoreUnavailable(f"InfluxDB refuses to forget in {bucket}: {refusal}") from refusal

    async def keep_for(self, bucket: str, retention_s: int) -> bool:
        """Give a bucket another retention; answers whether it had another. Raises BucketMissing."""
        api = self._client.buckets_api()
        found = await self._call(lambda: api.find_bucket_by_name(bucket))
        if found is None:
            raise BucketMissing(f"there is no bucket {bucket}")
        if [rule.every_seconds for rule in found.retention_rules] == [retention_s]:
            return False
        found.retention_rules = [BucketRetentionRules(type="expire", every_seconds=retention_s)]
        await self._call(lambda: api.update_bucket(found))
        return True

    async def buckets(self) -> list[str]:
        """The names of all buckets that the token may see."""
        found = await self._call(lambda: list(self._client.buckets_api().find_buckets_iter()))
        return [bucket.name for bucket in found]

    async def close(self) -> None:
        """Close the connections."""
        await asyncio.to_thread(self._client.close)

    async def _call(self, request: Callable[[], Result]) -> Result:
        async with self._slots:
            for attempt in range(1, self._attempts + 1):
                try:
                    return await asyncio.to_thread(request)
                except (InfluxDBError, HTTPError, OSError) as error:
                    wait_s = self._wait_before_retry(error, attempt)
                    logger.warning("InfluxDB at %s: %s; trying again in %.1f s", self._url, _words(error), wait_s)
                except (FluxQueryException, FluxCsvParserException) as error:
                    raise ExperienceStoreUnavailable(f"InfluxDB cannot answer: {error!r}") from error
                await asyncio.sleep(wait_s)
        raise AssertionError("the last attempt returns or raises")

    def _wait_before_retry(self, error: Exception, attempt: int) -> float:
        """How long to wait, when trying again makes sense; else raises what the error means."""
        status = error.status if isinstance(error, ApiException) else None
        words = _words(error)
        if status == HTTPStatus.NOT_FOUND and "bucket" in words:
            raise BucketMissing(words) from error
        if status in _REFUSED:
            raise ExperienceRefused(f"InfluxDB refuses: {words}") from error
        if status in _DENIED:
            raise ExperienceStoreUnavailable(
                f"InfluxDB at {self._url} refuses the token ({status}): {words}. "
                "Set AOS_INFLUX_TOKEN to one that reads, writes and makes buckets"
            ) from error
        if status is not None and status not in _PASSING:
            advice = ". Set AOS_INFLUX_ORG to one that it has" if "organization" in words else ""
            raise ExperienceStoreUnavailable(f"InfluxDB at {self._url} will not do it: {words}{advice}") from error
        if attempt == self._attempts:
            raise ExperienceStoreUnavailable(
                f"InfluxDB at {self._url} does not answer (tried {attempt} times): {words}"
            ) from error
        asked = getattr(error, "retry_after", None)
        if asked is not None and str(asked).isdigit():
            return min(float(asked), self._backoff_max_s)
        return random.uniform(0, min(self._backoff_s * 2 ** (attempt - 1), self._backoff_max_s))


def rfc3339(at_ns: int) -> str:
    """A moment with all its nanoseconds, which no datetime holds."""
    seconds, nanoseconds = divmod(at_ns, 10**9)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{nanoseconds:09d}Z"


def _words(error: Exception) -> str:
    if isinstance(error, ApiException):
        return f"{error.status} {error.message or error.reason}"
    return f"{type(error).__name__}: {error}"
