"""W3C trace context: passed on where the caller has one, spans where OpenTelemetry is installed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec


@contextmanager
def traced(model: str, headers: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """Open a client span around one call and yield the headers to send with it.

    Without OpenTelemetry the headers are sent as they are, a `traceparent` among them included.

    Args:
        model: the served model, an attribute of the span.
        headers: of the caller.
    """
    sent = dict(headers)
    if find_spec("opentelemetry") is None:
        yield sent
        return
    from opentelemetry import propagate, trace

    tracer = trace.get_tracer("vigil.serving.client")
    attributes = {"vigil.model": model}
    parent = propagate.extract(sent) if "traceparent" in sent else None
    with tracer.start_as_current_span(
        f"infer {model}", context=parent, kind=trace.SpanKind.CLIENT, attributes=attributes
    ):
        propagate.inject(sent)
        yield sent
