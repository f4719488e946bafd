"""An S3 address in Triton's own form, checked before anything is built from it."""

from __future__ import annotations

import re
from dataclasses import dataclass

_SCHEME = "s3://"
_ENDPOINT = re.compile(r"(https?://)?([0-9A-Za-z][0-9A-Za-z.-]*:[0-9]{1,5})/(.*)")
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_NAME = re.compile(r"[0-9A-Za-z_][0-9A-Za-z._-]*")
_FORM = "s3://bucket/prefix or s3://[http[s]://]host:port/bucket/prefix"


def is_s3(place: str) -> bool:
    """Tell whether a place is an S3 address and not a folder."""
    return place.startswith(_SCHEME)


def is_name(text: str) -> bool:
    """Tell whether a text may be one part of a path: no dots alone, no slash, nothing hidden."""
    return _NAME.fullmatch(text) is not None


@dataclass(frozen=True)
class S3Place:
    """Where a repository lies in an object store.

    Attributes:
        url: the address as it was given, which is how Triton takes it.
        endpoint: URL of the server; None is Amazon's.
        bucket: the bucket.
        prefix: names joined by slashes, without one at either end; "" is the whole bucket.
    """

    url: str
    endpoint: str | None
    bucket: str
    prefix: str

    @classmethod
    def parse(cls, url: str) -> S3Place:
        """Read an address.

        Raises:
            ValueError: another form, a bucket or prefix that is no plain name, or credentials in
                it, which belong into the environment. The message does not repeat the address.
        """
        if not is_s3(url) or "@" in url:
            raise ValueError(f"expected {_FORM}, without credentials")
        rest = url.removeprefix(_SCHEME)
        endpoint = None
        if found := _ENDPOINT.fullmatch(rest):
            endpoint, rest = f"{found[1] or 'http://'}{found[2]}", found[3]
        bucket, *names = rest.split("/")
        if not _BUCKET.fullmatch(bucket) or ".." in bucket:
            raise ValueError(f"expected {_FORM} with the name of a bucket, got {bucket!r}")
        for name in names:
            if not is_name(name):
                raise ValueError(f"expected {_FORM} with plain names in the prefix, got {name!r}")
        return cls(url, endpoint, bucket, "/".join(names))
