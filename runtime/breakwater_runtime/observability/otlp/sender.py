"""Sends to the collector from a thread of its own: whatever it does, no call waits for it."""

import gzip
import logging
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Literal

import httpx2

from breakwater_contract import telemetry_metrics as catalogue
from breakwater_runtime.observability.metrics import Metrics
from breakwater_runtime.observability.otlp import encoding
from breakwater_runtime.observability.telemetry import Target

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

logger = logging.getLogger(__name__)

QUEUE_SPANS_MAX = 8192
"""How many spans wait at most, about a kilobyte each; what comes then is lost, and counted."""

BATCH_SPANS_MAX = 512
LINGER_SECONDS = 0.5
"""How long spans wait for others to share a request with."""

ATTEMPTS = 4
RETRY_SECONDS_MAX = 30.0
RETRYABLE = frozenset({429, 502, 503, 504})
"""What OTLP says is worth trying again."""

OK = 200
ANSWER_BYTES_MAX = 64 * 1024
CLOSE_SECONDS = 1.0

Signal = Literal["traces", "metrics"]


class Sender:
    """Sends spans as they come, and metrics at an interval."""

    def __init__(self, target: Target, resource: dict[str, str], metrics: Metrics) -> None:
        """Begin to send to `target`."""
        self._target = target
        self._resource = resource
        self._metrics = metrics
        self._spans = metrics.counter(catalogue.SPANS)
        self._exports = metrics.counter(catalogue.EXPORTS)
        self._cost = metrics.counter(catalogue.COST)
        self._queue: deque[ReadableSpan] = deque()
        self._wake = threading.Event()
        self._closing = threading.Event()
        self.fault: str | None = None
        """Why the last request failed; None: it did not."""
        # A daemon: a collector that does not answer must not hold the process back.
        self._thread = threading.Thread(target=self._run, name="telemetry", daemon=True)
        self._thread.start()

    @property
    def queued(self) -> int:
        """How many spans wait."""
        return len(self._queue)

    def put(self, spans: Sequence["ReadableSpan"]) -> None:
        """Have spans sent some time; those for which there is no room are counted and gone."""
        room = QUEUE_SPANS_MAX - len(self._queue)
        if len(spans) > room:
            self._spans.labels("dropped").inc(len(spans) - max(room, 0))
            spans = spans[: max(room, 0)]
        if spans:
            self._queue.extend(spans)
            self._wake.set()

    def close(self, seconds: float = CLOSE_SECONDS) -> None:
        """Send what waits and end; what takes longer than `seconds` is left to the thread."""
        self._closing.set()
        self._wake.set()
        self._thread.join(seconds)

    # What the thread does

    def _run(self) -> None:
        interval = self._target.otlp.metrics
        every = interval.seconds if interval is not None else None
        due = time.monotonic() + every if every is not None else None
        with self._client() as client:
            while not self._closing.is_set():
                self._wake.wait(None if due is None else max(0.0, due - time.monotonic()))
                self._wake.clear()
                if self._queue:
                    self._closing.wait(LINGER_SECONDS)
                    self._send_spans(client)
                if every is not None and due is not None and time.monotonic() >= due:
                    due = time.monotonic() + every
                    self._send_metrics(client)
            self._send_spans(client)
            if every is not None:
                self._send_metrics(client)

    def _client(self) -> httpx2.Client:
        authorities = self._target.authorities
        verify = ssl.create_default_context(cadata=authorities.decode() if authorities else None)
        # Of the environment nothing is believed, proxies and certificates included.
        return httpx2.Client(
            verify=verify, trust_env=False, timeout=self._target.otlp.timeout.seconds
        )

    def _send_spans(self, client: httpx2.Client) -> None:
        while self._queue:
            began = time.thread_time()
            count = min(BATCH_SPANS_MAX, len(self._queue))
            batch = [self._queue.popleft() for _ in range(count)]
            sent = self._send(client, "traces", partial(encoding.spans, batch, self._resource))
            self._spans.labels("exported" if sent else "failed").inc(count)
            self._cost.labels("traces").inc(time.thread_time() - began)

    def _send_metrics(self, client: httpx2.Client) -> None:
        began = time.thread_time()
        self._send(client, "metrics", partial(encoding.metrics, self._metrics, self._resource))
        self._cost.labels("metrics").inc(time.thread_time() - began)

    def _send(self, client: httpx2.Client, signal: Signal, encoded: Callable[[], bytes]) -> bool:
        try:
            body = gzip.compress(encoded(), compresslevel=1)
        except Exception:
            # Telemetry that cannot be written is lost; what comes after it is not.
            logger.exception("telemetry cannot be encoded", extra={"signal": signal})
            self._exports.labels(signal, "failed").inc()
            return False
        fault: str | None = None
        for attempt in range(ATTEMPTS):
            fault, wait = self._attempt(client, signal, body)
            if fault is None:
                break
            last = attempt == ATTEMPTS - 1 or self._closing.is_set()
            if wait is None or last or self._closing.wait(max(wait, 2.0**attempt)):
                break
        self._exports.labels(signal, "failed" if fault else "exported").inc()
        self._tell(fault)
        return fault is None

    def _attempt(
        self, client: httpx2.Client, signal: Signal, body: bytes
    ) -> tuple[str | None, float | None]:
        """Send once; return what went wrong, and after how long it is worth trying again."""
        url = f"{self._target.otlp.endpoint.rstrip('/')}/v1/{signal}"
        headers = {
            **self._target.headers,
            "content-type": "application/x-protobuf",
            "content-encoding": "gzip",
        }
        try:
            with client.stream("POST", url, content=body, headers=headers) as response:
                # Read to its end, a connection can be used again.
                size = int(response.headers.get("content-length", ANSWER_BYTES_MAX + 1))
                if size <= ANSWER_BYTES_MAX:
                    response.read()
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError, ValueError) as error:
            return f"{type(error).__name__}: {error}", 0.0
        if response.status_code == OK:
            return None, None
        retry = response.status_code in RETRYABLE
        return f"it answers {response.status_code}", _retry_after(response) if retry else None

    def _tell(self, fault: str | None) -> None:
        if fault and not self.fault:
            logger.warning(
                "the collector takes no telemetry",
                extra={"endpoint": self._target.otlp.endpoint, "reason": fault},
            )
        elif self.fault and not fault:
            logger.info("the collector takes telemetry again")
        self.fault = fault


def _retry_after(response: httpx2.Response) -> float:
    said = response.headers.get("retry-after", "")
    return min(float(said), RETRY_SECONDS_MAX) if said.isdecimal() else 0.0
