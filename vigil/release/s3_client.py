"""The door to boto3: a client with bounded waits, and its failures as one line each."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from vigil.config.place import S3Place
from vigil.errors import Conflict, InputError, ServerError, ServerUnavailable, VigilError

Client = Any  # boto3 makes its clients while it runs; they have no types
_CONNECT_S, _READ_S, _ATTEMPTS = 3.0, 60.0, 3
_LOST = {"PreconditionFailed", "ConditionalRequestConflict", "412"}
_ABSENT = {"NoSuchBucket", "404", "NotFound"}
_UNKNOWN = {"InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken",
            "TokenRefreshRequired", "InvalidSecurity", "AuthorizationHeaderMalformed"}  # fmt: skip
_DENIED = {"AccessDenied", "AllAccessDisabled", "AccountProblem", "403", "Forbidden"}


def connect(place: S3Place) -> Client:
    """Return a client; credentials come from the environment or AWS's own files, nowhere else.

    Raises:
        InputError: boto3 is not installed, or AWS's configuration is broken.
    """
    try:
        import boto3
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError
    except ImportError as error:
        raise InputError(f"{place.url}: expected boto3 (pip extra `s3`), got none") from error
    config = Config(
        connect_timeout=_CONNECT_S,
        read_timeout=_READ_S,
        retries={"max_attempts": _ATTEMPTS, "mode": "standard"},
        s3={"addressing_style": "path" if place.endpoint else "auto"},
        request_checksum_calculation="when_required",  # other servers than Amazon's may know none
        response_checksum_validation="when_required",
    )
    session = boto3.Session()
    region = session.region_name or "us-east-1"
    try:
        return session.client("s3", endpoint_url=place.endpoint, region_name=region, config=config)
    except (BotoCoreError, ValueError) as error:
        raise InputError(f"{place.url}: {_line(error)}") from error


@contextmanager
def clearly(url: str) -> Iterator[None]:
    """Turn what boto3 raises into our errors, one line each.

    Raises:
        Conflict: a condition did not hold: somebody else wrote first.
        InputError: no such bucket, no credentials, or ones that are unknown or not enough.
        ServerUnavailable: nobody answers.
        ServerError: whatever else, such as a full disk.
    """
    from botocore.exceptions import (
        BotoCoreError,
        ClientError,
        HTTPClientError,
        NoCredentialsError,
        PartialCredentialsError,
    )
    from botocore.exceptions import ConnectionError as NoConnection

    try:
        yield
    except ClientError as error:
        raise _refusal(url, error.response, error.operation_name) from error
    except (NoCredentialsError, PartialCredentialsError) as error:
        raise InputError(
            f"{url}: expected credentials in the environment (AWS_ACCESS_KEY_ID, "
            "AWS_SECRET_ACCESS_KEY) or in AWS's own files, got none"
        ) from error
    except (NoConnection, HTTPClientError) as error:
        raise ServerUnavailable(f"{url}: the object store does not answer") from error
    except BotoCoreError as error:
        raise ServerError(f"{url}: {_line(error)}") from error


def code_of(error: Exception) -> str:
    """Return the code of the refusal that boto3 raised."""
    response = getattr(error, "response", {})
    return str(response.get("Error", {}).get("Code", ""))


def _refusal(url: str, response: dict[str, Any], operation: str) -> VigilError:
    """Name the cause of a refusal; of credentials nothing is repeated."""
    told = response.get("Error", {})
    code = str(told.get("Code", ""))
    status = response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if code in _LOST:
        return Conflict(f"{url}: another publish or rollback came first")
    if code in _ABSENT:
        return InputError(f"{url}: expected a bucket, got none of that name")
    if code in _UNKNOWN:
        return InputError(f"{url}: the object store does not take these credentials ({code})")
    if code in _DENIED:
        return InputError(f"{url}: these credentials may not do this: {operation} ({code})")
    return ServerError(f"{url}: {operation}: [{status}] {code}: {_line(told.get('Message', ''))}")


def _line(text: object) -> str:
    return " ".join(str(text).split())
