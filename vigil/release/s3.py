"""A live repository in an object store that speaks S3.

There is no rename and no lock. A version's mark, `verdict.json`, is written last and removed first:
without it there is no version. The pointer is the only thing that two publishers can fight for: it
is replaced by one PUT on the condition that nobody replaced it meanwhile. Each pointer is unique,
so that one who moved it there and back is noticed as well.
"""

from __future__ import annotations

import base64
import hashlib
import shutil
import tempfile
import uuid
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from vigil.config.place import S3Place, is_name
from vigil.errors import Conflict, InputError, ServerError, VigilError
from vigil.release.lease import Mark, leased
from vigil.release.s3_client import clearly, code_of, connect
from vigil.release.storage import POINTER, Content
from vigil.serving.repository import parse_config

MARK = "verdict.json"
_PROBE = ".conditional"
_NO_KEY = {"NoSuchKey", "404"}
_NO_CONDITIONS = {"NotImplemented", "501"}
_AT_ONCE = 1000  # keys of one DeleteObjects


class S3Storage:
    """The files of a live repository in a bucket, see `vigil.release.storage.Storage`."""

    def __init__(self, place: S3Place) -> None:
        """Connect; nothing is read or written yet."""
        self.url = place.url
        self._bucket, self._prefix = place.bucket, f"{place.prefix}/" if place.prefix else ""
        self._client = connect(place)
        self._copies = tempfile.mkdtemp(prefix="vigil-live-")
        weakref.finalize(self, shutil.rmtree, self._copies, ignore_errors=True)
        self._seen: dict[str, str | None] = {}  # ETag of the pointer, by model, since `lock`
        self._conditional: bool | None = None

    def folder(self) -> Path:
        """Refuse: there is none."""
        raise InputError(f"{self.url}: expected a live repository in a local folder for this")

    def prepare(self) -> list[str]:
        """Make sure that the bucket answers and find out whether it knows conditions."""
        if self._knows_conditions():
            return []
        return [
            f"{self.url}: this object store ignores conditional writes: of two publishers at once "
            "the later one wins unnoticed; let one publish at a time"
        ]

    def models(self) -> list[str]:
        """Return the models that have a pointer, sorted."""
        found = (key.split("/") for key in self._keys(""))
        return sorted(parts[0] for parts in found if len(parts) == 2 and parts[1] == POINTER)

    def numbers(self, model: str) -> list[int]:
        """Return the versions that have their mark, oldest first."""
        return sorted(n for n, names in self._versions(model).items() if MARK in names)

    def free_number(self, model: str) -> int:
        """Return a number above all, complete or not."""
        return max(self._versions(model), default=0) + 1

    def fetch(self, model: str, name: str) -> Path:
        """Download one file."""
        path = Path(self._copies, self._safe(model), name)
        content = self._get(f"{model}/{name}")[0]
        if content is None:
            path.unlink(missing_ok=True)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        return path

    def fetch_version(self, model: str, number: int) -> Path:
        """Download a version's files."""
        for name in self._versions(model).get(number, ()):
            self.fetch(model, f"{number}/{name}")
        return Path(self._copies, model, str(number))

    @contextmanager
    def lock(self, model: str) -> Iterator[None]:
        """Remember the pointer, so that a change by others is noticed when it is replaced."""
        self._knows_conditions()
        self._seen[model] = self._get(f"{self._safe(model)}/{POINTER}")[1]
        yield

    def clean(self, model: str, serving: int | None) -> None:
        """Remove versions without a mark, once nobody can point at them any more.

        Before the first version was published that cannot be known: they stay until the next.
        """
        whole = self.numbers(model)
        half = [number for number in self._versions(model) if number not in {*whole, serving}]
        if half and self._touch(model):
            self._delete(model, half)

    def stage(self, model: str, number: int, files: Mapping[str, Content]) -> Iterator[str]:
        """Upload a version's files, the mark last.

        Raises:
            Conflict: another publisher has taken the number.
        """
        names = [*(name for name in files if name != MARK), MARK]
        keys = {name: f"{self._safe(model)}/{number}/{name}" for name in names}
        first = {"IfNoneMatch": "*"} if self._conditional else {}
        self._put(keys[names[0]], _bytes(files[names[0]]), **first)
        try:
            for name in names[1:-1]:
                self._put(keys[name], _bytes(files[name]))
            yield "written"
            self._put(keys[MARK], _bytes(files[MARK]))
        except VigilError:
            with suppress(VigilError):  # else the next publish removes it
                self._delete(model, [number])
            raise
        yield "complete"

    def replace(self, model: str, name: str, text: str) -> None:
        """Replace a file by one PUT."""
        self._put(f"{self._safe(model)}/{name}", text.encode())

    def point(self, model: str, text: str) -> None:
        """Replace the pointer by one PUT, if it is still the one that was seen.

        Raises:
            Conflict: it is not.
        """
        key, seen = f"{self._safe(model)}/{POINTER}", self._seen.get(model)
        content = f"# {uuid.uuid4().hex}\n{text}".encode()
        self._seen[model] = self._swap(key, seen, content)

    def drop(self, model: str, numbers: list[int]) -> None:
        """Remove versions: first the marks, then the right of others to point at them, then all.

        What the pointer names stays. Where another publisher moves it meanwhile the marks are put
        back, and all stays.
        """
        content, self._seen[model] = self._get(f"{self._safe(model)}/{POINTER}")
        named = parse_config(content.decode()).version_policy.specific.versions if content else ()
        numbers = [number for number in numbers if number not in named]
        keys = {number: f"{model}/{number}/{MARK}" for number in numbers}
        marks = {number: self._get(key)[0] for number, key in keys.items()}
        self._delete_keys(list(keys.values()))
        if content is None or self._touch(model):
            self._delete(model, numbers)
            return
        for number, mark in marks.items():
            if mark is not None:
                self._put(keys[number], mark)

    @contextmanager
    def lock_trial(self, model: str) -> Iterator[Callable[[], bool]]:
        """Hold an object that is renewed; see `vigil.release.lease.leased`."""
        self._knows_conditions()
        key = f".{self._safe(model)}_trial"
        mark = Mark(
            lambda: self._get(key)[1],
            lambda seen: self._swap(key, seen, uuid.uuid4().hex.encode()),
            lambda: self._delete_keys([key]),
        )
        with leased(mark, f"{self.url}/{model}", "trial") as held:
            yield held

    def lay_out(self, model: str, files: Mapping[str, Content]) -> None:
        """Upload the files."""
        for name, content in files.items():
            self._put(f"{self._safe(model)}/{name}", _bytes(content))

    def remove(self, model: str) -> bool:
        """Remove every object of a model."""
        found = self._keys(f"{self._safe(model)}/")
        self._delete_keys(found)
        return bool(found)

    def _swap(self, key: str, seen: str | None, content: bytes) -> str | None:
        """Replace an object by one PUT of what nobody else writes; return the new ETag.

        Raises:
            Conflict: its ETag is not `seen` any more.
        """
        condition = {"IfMatch": seen} if seen else {"IfNoneMatch": "*"}
        if not self._conditional:
            condition = {}
            if self._get(key)[1] != seen:
                raise Conflict(f"{self.url}: another publish or rollback came first")
        try:
            return self._put(key, content, **condition)
        except VigilError:
            found, tag = self._get(key)  # an answer that was lost may have been a yes
            if found != content:
                raise
            return tag

    def _touch(self, model: str) -> bool:
        """Replace the pointer by the same one, so that whoever saw the old one cannot move it."""
        content = self._get(f"{model}/{POINTER}")[0]
        if content is None:
            return False
        text = content.decode().split("\n", 1)
        try:
            self.point(model, text[1] if text[0].startswith("# ") else "\n".join(text))
        except Conflict:
            return False
        return True

    def _knows_conditions(self) -> bool:
        """Write an empty object twice on the condition that there is none: is one refused?"""
        if self._conditional is None:
            self._conditional = self._refuses() or self._refuses()
        return self._conditional

    def _refuses(self) -> bool:
        from botocore.exceptions import ClientError

        try:
            self._put(_PROBE, b"", IfNoneMatch="*")
        except Conflict:
            return True
        except ServerError as error:
            cause = error.__cause__
            if not isinstance(cause, ClientError) or code_of(cause) not in _NO_CONDITIONS:
                raise
        return False

    def _versions(self, model: str) -> dict[int, set[str]]:
        """Return the names of the files of everything that looks like a version, by number."""
        found: dict[int, set[str]] = {}
        for key in self._keys(f"{self._safe(model)}/"):
            number, _, name = key.removeprefix(f"{model}/").partition("/")
            if number.isdecimal() and is_name(name):
                found.setdefault(int(number), set()).add(name)
        return found

    def _keys(self, below: str) -> list[str]:
        with clearly(self.url):
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self._bucket, Prefix=f"{self._prefix}{below}"
            )
            keys = [row["Key"] for page in pages for row in page.get("Contents", ())]
        return [key.removeprefix(self._prefix) for key in keys]

    def _get(self, key: str) -> tuple[bytes | None, str | None]:
        """Return an object's content and ETag, None and None where there is no such object."""
        from botocore.exceptions import ClientError

        with clearly(self.url):
            try:
                answer = self._client.get_object(Bucket=self._bucket, Key=f"{self._prefix}{key}")
                return answer["Body"].read(), answer["ETag"]
            except ClientError as error:
                if code_of(error) not in _NO_KEY:
                    raise
        return None, None

    def _put(self, key: str, content: bytes, **condition: str) -> str:
        """Write an object whole; return its ETag. The server compares its MD5."""
        digest = hashlib.md5(content, usedforsecurity=False).digest()
        with clearly(self.url):
            answer = self._client.put_object(
                Bucket=self._bucket, Key=f"{self._prefix}{key}", Body=content,
                ContentMD5=base64.b64encode(digest).decode(), **condition,
            )  # fmt: skip
        return str(answer["ETag"])

    def _delete(self, model: str, numbers: list[int]) -> None:
        found = self._versions(model)
        self._delete_keys([f"{model}/{n}/{name}" for n in numbers for name in found.get(n, ())])

    def _delete_keys(self, keys: list[str]) -> None:
        for start in range(0, len(keys), _AT_ONCE):
            rows = [{"Key": f"{self._prefix}{key}"} for key in keys[start : start + _AT_ONCE]]
            with clearly(self.url):
                answer = self._client.delete_objects(Bucket=self._bucket, Delete={"Objects": rows})
            for error in answer.get("Errors", ()):
                raise InputError(f"{self.url}: cannot remove {error['Key']}: {error.get('Code')}")

    def _safe(self, model: str) -> str:
        if not is_name(model):
            raise InputError(f"{self.url}: expected the name of a model, got {model!r}")
        return model


def _bytes(content: Content) -> bytes:
    return content.read_bytes() if isinstance(content, Path) else content.encode()
