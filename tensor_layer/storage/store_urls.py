"""Opens the object store that a URL names: local folder, process memory or S3. Called by whatever keeps bytes there."""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from urllib.parse import unquote, urlsplit

from obstore.exceptions import BaseError
from obstore.store import LocalStore, MemoryStore, ObjectStore, S3Store

from tensor_layer.errors import BlobStoreUnavailable

REQUEST_TIMEOUT = "300s"
CONNECT_TIMEOUT = "5s"
RETRIES = 3
RETRY_TIMEOUT_S = 20


def open_store(url: str, options: Mapping[str, str] | None = None) -> tuple[ObjectStore, Path | None]:
    """The store behind ``url`` and, when it is a local folder, that folder.

    ``file:///folder``, ``memory://`` or ``s3://bucket/prefix``. ``options`` are the S3 client's settings
    (``endpoint``, ``access_key_id``, ``secret_access_key``, ``region``, ``virtual_hosted_style_request`` …).
    Raises ValueError for any other URL or a setting that S3 does not know, BlobStoreUnavailable when the folder
    cannot be made.
    """
    parts = urlsplit(url)
    if parts.scheme == "file" and parts.path:
        return _local(Path(unquote(parts.path)))
    if parts.scheme == "memory":
        return MemoryStore(), None
    if parts.scheme == "s3" and parts.netloc:
        return _s3(parts.netloc, parts.path.strip("/"), dict(options or {})), None
    raise ValueError(f"{url!r} is no object store: use file:///folder, memory:// or s3://bucket/prefix")


def _local(folder: Path) -> tuple[ObjectStore, Path]:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return LocalStore(folder), folder.resolve()
    except (OSError, BaseError) as error:
        raise BlobStoreUnavailable(f"the blob folder {folder} cannot be used: {error}") from error


def _s3(bucket: str, prefix: str, options: dict[str, str]) -> ObjectStore:
    plain_http = options.get("endpoint", "").startswith("http://")
    try:
        return S3Store(
            bucket,
            prefix=prefix or None,
            config=options,  # type: ignore[arg-type] # the keys are the user's; obstore refuses what it does not know
            client_options={"timeout": REQUEST_TIMEOUT, "connect_timeout": CONNECT_TIMEOUT, "allow_http": plain_http},
            retry_config={"max_retries": RETRIES, "retry_timeout": timedelta(seconds=RETRY_TIMEOUT_S)},
        )
    except BaseError as error:
        raise ValueError(f"the settings of s3://{bucket} are not usable: {error}") from error
