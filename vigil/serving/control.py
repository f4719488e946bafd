"""A Triton server's model control, as its HTTP endpoint offers it: load, unload, what is ready."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote

from vigil.errors import (
    DeadlineExceeded,
    InputError,
    InvalidRequest,
    ModelError,
    ModelNotFound,
    ServerError,
    ServerUnavailable,
)
from vigil.serving.repository import ModelConfig

ADMIN_HEADER = "x-vigil-admin"  # as in deploy/triton/start.sh
_POLL_S = 0.05


class Control:
    """The admin side of one server. Safe to call from several threads: each call connects anew."""

    def __init__(
        self, http_url: str, timeout_s: float = 60.0, headers: Mapping[str, str] | None = None
    ) -> None:
        """Remember the address; nothing is asked yet.

        Args:
            http_url: `host:port` of the HTTP endpoint.
            timeout_s: longest wait for one answer, loading included, in seconds.
            headers: sent with every request, such as the key of a restricted server.
        """
        self.http_url = http_url
        self._headers = dict(headers or {})
        self.timeout_s = timeout_s

    def load(self, model: str, config: ModelConfig | None = None) -> None:
        """Load a model, or replace it while the one that is loaded keeps answering.

        Triton builds the new one beside the old, moves requests over and lets those in flight end;
        where the new one does not load, the old one stays.

        Args:
            model: its name.
            config: in place of `config.pbtxt`; Triton keeps it until the model is unloaded.

        Raises:
            ModelError: the server refused it, with its reason.
            ServerUnavailable, DeadlineExceeded: by cause.
        """
        from google.protobuf import json_format

        parameters = {}
        if config is not None:
            text = json_format.MessageToJson(config, preserving_proto_field_name=True, indent=None)
            parameters["config"] = text
        self._control(model, "load", parameters)

    def unload(self, model: str, timeout_s: float = 10.0) -> None:
        """Unload a model and wait, at most `timeout_s`, until no version is ready or leaving.

        Raises:
            ModelError: the server refused.
            ServerUnavailable, DeadlineExceeded: by cause.
        """
        self._control(model, "unload", {})
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            states = {row.get("state") for row in self.index() if row["name"] == model}
            if not states & {"READY", "UNLOADING", "LOADING"}:
                return
            time.sleep(_POLL_S)

    def index(self) -> list[dict[str, str]]:
        """Return every version that the server knows: name, version, state, reason."""
        found = self.ask("POST", "/v2/repository/index", {})
        return list(found)

    def ready(self) -> dict[str, list[int]]:
        """Return the ready versions by model name."""
        found: dict[str, list[int]] = {}
        for row in self.index():
            if row.get("state") == "READY":
                found.setdefault(row["name"], []).append(int(row["version"]))
        return {name: sorted(numbers) for name, numbers in found.items()}

    def config(self, model: str) -> ModelConfig:
        """Return the configuration that a loaded model runs with."""
        from google.protobuf import json_format
        from tritonclient.grpc import model_config_pb2

        found = self.ask("GET", f"/v2/models/{quote(model, safe='')}/config")
        return json_format.ParseDict(found, model_config_pb2.ModelConfig())

    def counts(self, model: str) -> tuple[int, int]:
        """Return how many requests a model has answered and how many it has failed."""
        found = self.ask("GET", f"/v2/models/{quote(model, safe='')}/stats")["model_stats"]
        stats = [version["inference_stats"] for version in found]
        return (
            sum(int(part["success"]["count"]) for part in stats),
            sum(int(part["fail"]["count"]) for part in stats),
        )

    def ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Send one request and return its JSON answer, None where it has none.

        Raises:
            ModelNotFound, InvalidRequest, ServerError: the server's own refusal.
            ServerUnavailable, DeadlineExceeded: by cause.
        """
        text = None if body is None else json.dumps(body).encode()
        content = exchange(self.http_url, method, path, text, self._headers, self.timeout_s)
        return json.loads(content) if content else None

    def _control(self, model: str, action: str, parameters: Mapping[str, str]) -> None:
        path = f"/v2/repository/models/{quote(model, safe='')}/{action}"
        try:
            self.ask("POST", path, {"parameters": parameters} if parameters else {})
        except (ServerUnavailable, DeadlineExceeded):
            raise
        except ServerError as error:
            raise ModelError(
                f"{model}: expected the server to {action} it, got: {error}"
            ) from error


def admin_key(file: str | Path | None) -> dict[str, str]:
    """Return the header that opens a restricted server, none without a file.

    Raises:
        InputError: there is no such file, or it is empty.
    """
    if file is None:
        return {}
    path = Path(file)
    key = path.read_text("utf-8").strip() if path.is_file() else ""
    if not key:
        raise InputError(f"{path}: expected a file with the server's admin key, got none")
    return {ADMIN_HEADER: key}


def exchange(
    http_url: str,
    method: str,
    path: str,
    body: bytes | None,
    headers: Mapping[str, str],
    timeout_s: float,
) -> bytes:
    """Send one request over a connection of its own; return the body of the answer.

    Raises:
        ModelNotFound, InvalidRequest, ServerError: the server's own refusal.
        DeadlineExceeded: no answer in time.
        ServerUnavailable: nobody answers, or the connection broke.
    """
    where = f"{http_url}{path}"
    try:
        with closing(http.client.HTTPConnection(http_url, timeout=timeout_s)) as connection:
            connection.request(method, path, body, dict(headers))
            answer = connection.getresponse()
            content = answer.read()
    except TimeoutError as error:
        raise DeadlineExceeded(f"{where}: no answer within {timeout_s:g} s") from error
    except (OSError, http.client.HTTPException) as error:
        raise ServerUnavailable(f"{where}: {error}") from error
    if answer.status != 200:
        raise refusal(where, answer.status, content)
    return content


def refusal(subject: str, status: int, content: bytes) -> ServerError:
    """Turn an HTTP answer that is no success into the error of its cause, in one line."""
    try:
        reason = str(json.loads(content)["error"])
    except (ValueError, KeyError, TypeError):
        reason = content[:200].decode(errors="replace")
    reason = " ".join(reason.split()) or f"status {status}"
    kind: type[ServerError] = ServerError
    if status == 404 or "unknown model" in reason:
        kind = ModelNotFound
    elif 400 <= status < 500:
        kind = InvalidRequest
    return kind(f"{subject}: [{status}] {reason}")
