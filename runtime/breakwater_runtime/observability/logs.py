"""JSON log lines: constant text, facts as keys, the request's id and principal in each."""

import logging
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, TextIO

import orjson

from breakwater_runtime.calls import Request

CURRENT: ContextVar[Request | None] = ContextVar("request", default=None)
"""The request that this code runs for, threads of synchronous tools included."""

_OF_EVERY_RECORD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}

QUIET = ("mcp", "uvicorn", "sse_starlette", "asyncio")
"""Libraries whose news are noise here; what they warn of is kept."""


class JsonFormatter(logging.Formatter):
    """One line of JSON per record."""

    def __init__(self, service: str) -> None:
        """Name the server that every line belongs to."""
        super().__init__()
        self._service = service

    def format(self, record: logging.LogRecord) -> str:
        """Write the record's text, its facts and the request it belongs to."""
        line: dict[str, Any] = {
            "timestamp": datetime.fromtimestamp(record.created, UTC).isoformat("T", "milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            "service": self._service,
        }
        if request := CURRENT.get():
            line["requestId"] = request.id
            line["principal"] = request.principal.name if request.principal else None
        for key, value in vars(record).items():
            if key not in _OF_EVERY_RECORD:
                line.setdefault(key, value)
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return orjson.dumps(line, default=str, option=orjson.OPT_NON_STR_KEYS).decode()


def configure(service: str, stream: TextIO) -> None:
    """Send every logger of the process to one stream of JSON lines."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter(service))
    logging.basicConfig(handlers=[handler], level=logging.INFO, force=True)
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
