"""JSON log lines: constant text, facts as keys, the request's id and principal in each."""

import logging
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, TextIO

import orjson
from prometheus_client import Counter

from breakwater_contract.monitoring import LogLevel
from breakwater_runtime.calls import Request
from breakwater_runtime.observability.process import memory_bytes

CURRENT: ContextVar[Request | None] = ContextVar("request", default=None)
"""The request that this code runs for, threads of synchronous tools included."""

_OF_EVERY_RECORD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}

LEVELS: dict[LogLevel, int] = {
    "Debug": logging.DEBUG,
    "Info": logging.INFO,
    "Warning": logging.WARNING,
    "Error": logging.ERROR,
}

ALWAYS = ("breakwater.audit", "breakwater.requests")

QUIET = ("mcp", "uvicorn", "sse_starlette", "asyncio", "httpx2", "httpcore2", "opentelemetry")
"""Libraries whose news are noise here; what they warn of is kept."""


class JsonFormatter(logging.Formatter):
    """One line of JSON per record."""

    def __init__(self, service: str) -> None:
        """Name the server that every line belongs to."""
        super().__init__()
        self._service = service
        self._measured = 0.0
        self._bytes = 0

    def format(self, record: logging.LogRecord) -> str:
        """Write the record's text, its facts and the request it belongs to."""
        line: dict[str, Any] = {
            "timestamp": datetime.fromtimestamp(record.created, UTC).isoformat("T", "milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            "service": self._service,
        }
        facts = {key: value for key, value in vars(record).items() if key not in _OF_EVERY_RECORD}
        metrics = {"memory": self._memory(record.created)}
        if "duration" in facts:
            metrics["duration"] = facts.pop("duration")
        request = CURRENT.get()
        if request is not None or "request" in facts:
            line |= _context(request, facts)
        line["metrics"] = metrics
        for key, value in facts.items():
            line.setdefault(key, value)
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return orjson.dumps(line, default=str, option=orjson.OPT_NON_STR_KEYS).decode()

    def _memory(self, now: float) -> int:
        """Get the memory in use, read once a second at most."""
        if now - self._measured >= 1:
            self._measured, self._bytes = now, memory_bytes()
        return self._bytes


def _context(request: Request | None, facts: dict[str, Any]) -> dict[str, Any]:
    """Say to which request a line belongs, and take out of its facts what says more of it."""
    context: dict[str, Any] = {}
    about = facts.pop("request", {})
    if request is not None:
        about = {"id": request.id, "messageId": request.message_id, **about}
        context["principal"] = request.principal.name if request.principal else None
    context["request"] = {key: value for key, value in about.items() if value is not None}
    if "response" in facts:
        context["response"] = facts.pop("response")
    correlated = {"correlationId": request.id} if request is not None else {}
    return {**correlated, "context": context}


class CountedHandler(logging.StreamHandler[TextIO]):
    """Writes lines, and counts them by level."""

    def __init__(self, stream: TextIO, lines: Counter | None) -> None:
        """Write to `stream`, count in `lines`."""
        super().__init__(stream)
        self._lines = lines

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line."""
        super().emit(record)
        if self._lines is not None:
            self._lines.labels(_counted_as(record.levelno)).inc()


def _counted_as(level: int) -> str:
    if level >= logging.ERROR:
        return "error"
    if level >= logging.WARNING:
        return "warning"
    return "info" if level >= logging.INFO else "debug"


def configure(service: str, stream: TextIO, lines: Counter | None = None) -> None:
    """Send every logger of the process to one stream of JSON lines."""
    handler = CountedHandler(stream, lines)
    handler.setFormatter(JsonFormatter(service))
    logging.basicConfig(handlers=[handler], level=logging.INFO, force=True)
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    # What is recorded was decided by its own settings, and not by how much is logged besides.
    for name in ALWAYS:
        logging.getLogger(name).setLevel(logging.INFO)


def set_level(level: LogLevel) -> None:
    """Log from now on what is at least so important."""
    logging.getLogger().setLevel(LEVELS[level])
