"""Traces and metrics for a collector: off until the settings say where it is.

What makes and sends them is imported only then: with telemetry off, a request pays one look at an
attribute.
"""

import logging
import re
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from breakwater_contract import telemetry_metrics as catalogue
from breakwater_contract.monitoring import HEADER_NAME, Monitoring, Otlp, Tracing
from breakwater_runtime.observability.metrics import Metrics

if TYPE_CHECKING:
    from breakwater_runtime.observability.otlp.sender import Sender
    from breakwater_runtime.observability.otlp.spans import Spans

logger = logging.getLogger(__name__)


Importing = Callable[[], AbstractContextManager[None]]


@dataclass(frozen=True, slots=True)
class Service:
    """Whose telemetry it is."""

    name: str
    namespace: str = ""
    version: str = ""
    instance: str = ""

    def attributes(self) -> dict[str, str]:
        """Describe it as OpenTelemetry's resources are described."""
        described = {
            "service.name": self.name,
            "service.namespace": self.namespace,
            "service.version": self.version,
            "service.instance.id": self.instance,
        }
        return {key: value for key, value in described.items() if value}


@dataclass(frozen=True, slots=True)
class Target:
    """Where telemetry goes, with what the settings' files say."""

    otlp: Otlp
    headers: Mapping[str, str] = field(default_factory=dict)
    authorities: bytes | None = None
    """Certificates, as PEM, of which one must have signed the collector's; None: the system's."""


def parse_headers(content: bytes) -> tuple[dict[str, str], list[str]]:
    """Read headers for the collector, one `name: value` per line; and every fault.

    Faults name the line, and never what stands there: it may be a credential.
    """
    headers: dict[str, str] = {}
    faults: list[str] = []
    for number, line in enumerate(content.decode("latin-1").splitlines(), 1):
        if not line.strip():
            continue
        name, colon, value = line.partition(":")
        name, value = name.strip(), value.strip()
        if colon and re.fullmatch(HEADER_NAME, name) and value.isascii() and value.isprintable():
            headers[name] = value
        else:
            faults.append(f"line {number}: no header; accepted: `name: value`, in ASCII")
    return headers, faults


class Telemetry:
    """What is sent to a collector; switched by the settings of the moment."""

    def __init__(
        self, service: Service, metrics: Metrics, importing: Importing = nullcontext
    ) -> None:
        """Send nothing yet.

        Args:
            service: Whose telemetry it is.
            metrics: What is sent, and where is counted what became of it.
            importing: What the libraries are imported within; it hides from them what they would
                take for settings.
        """
        self._service = service
        self._importing = importing
        self._broken: str | None = None
        self._metrics = metrics
        self._target: Target | None = None
        self._sender: Sender | None = None
        self._known: Spans | None = None
        self.spans: Spans | None = None
        """What makes spans; None: tracing is off."""
        metrics.sampled(catalogue.QUEUED_SPANS, lambda: self._sender.queued if self._sender else 0)

    @property
    def fault(self) -> str | None:
        """Why the collector does not get what it should; None: it does, or there is none."""
        return self._sender.fault if self._sender is not None else self._broken

    def apply(self, monitoring: Monitoring, target: Target | None) -> None:
        """Take over new settings; what waits to be sent by the old ones is given a moment.

        Whatever is wrong with telemetry, calls are answered without.
        """
        old = None
        try:
            with self._importing():
                if target != self._target:
                    old, self._sender, self._target = self._sender, None, target
                    self._sender = self._start(target) if target is not None else None
                self._switch(monitoring.tracing, monitoring.slow.seconds)
            self._broken = None
        except Exception as error:
            logger.exception("telemetry cannot be set up")
            self._broken, self.spans = f"it cannot be set up: {type(error).__name__}", None
        if old is not None:
            old.close()

    def _start(self, target: Target) -> "Sender":
        from breakwater_runtime.observability.otlp.sender import Sender

        resource = {**self._service.attributes(), **target.otlp.resource}
        logger.info("telemetry goes to a collector", extra={"endpoint": target.otlp.endpoint})
        return Sender(target, resource, self._metrics)

    def _switch(self, tracing: Tracing | None, slow_seconds: float) -> None:
        if tracing is None or self._sender is None:
            self.spans = None
            if self._known is not None:
                self._known.stop()
            return
        if self._known is None:
            from breakwater_runtime.observability.otlp.spans import Spans

            self._known = Spans(self._service.attributes(), self._metrics)
        self._known.start(tracing, slow_seconds, self._sender)
        self.spans = self._known

    def close(self, seconds: float = 1.0) -> None:
        """Send what waits, within so many seconds."""
        self.spans = None
        if self._sender is not None:
            self._sender.close(seconds)
