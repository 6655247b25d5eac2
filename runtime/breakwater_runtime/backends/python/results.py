"""What a tool returns, as the result that a client gets."""

import logging
from collections.abc import Callable
from typing import Any

from mcp.server.lowlevel.server import Server
from mcp.server.mcpserver.utilities.func_metadata import FuncMetadata
from mcp.shared.exceptions import MCPError
from mcp_types import (
    INTERNAL_ERROR,
    SERVER_INFO_META_KEY,
    CallToolResult,
)
from mcp_types import methods as wire
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from pydantic import BaseModel, ValidationError

from breakwater_runtime.backends.encoding import dumps

logger = logging.getLogger(__name__)

TOOLS_CALL = "tools/call"


class Results:
    """Writes the results of one server's tools."""

    def __init__(self, server: Server[Any]) -> None:
        """Write results that name `server`, as those of 2026-07-28 do."""
        self._stamp = {SERVER_INFO_META_KEY: server.server_info_stamp}
        self._end = b',"resultType":"complete","_meta":%b}' % dumps(self._stamp)

    def text(self, text: str, version: str, *, structured: bool) -> bytes:
        """Write the result of a tool that returned text."""
        content = dumps(text)
        return b'{"content":[{"type":"text","text":%b}],"isError":false%b%b' % (
            content,
            b',"structuredContent":{"result":%b}' % content if structured else b"",
            self._end if version in MODERN_PROTOCOL_VERSIONS else b"}",
        )

    def error(self, text: str, version: str) -> bytes:
        """Write the result of a tool that failed."""
        return b'{"content":[{"type":"text","text":%b}],"isError":true%b' % (
            dumps(text),
            self._end if version in MODERN_PROTOCOL_VERSIONS else b"}",
        )

    def write(self, result: CallToolResult, version: str) -> bytes:
        """Write any other result."""
        return dumps(self.shape(TOOLS_CALL, result, version))

    def shape(self, method: str, result: BaseModel, version: str) -> dict[str, Any]:
        """Give a result the form that a version has for it, as the SDK's kernel does.

        Raises:
            MCPError: The version has none.
        """
        content = result.model_dump(by_alias=True, mode="json", exclude_none=True)
        try:
            content = wire.serialize_server_result(method, version, content)
        except ValidationError:
            # What pydantic says repeats the result: it stays here.
            logger.exception("a tool returned an invalid result")
            raise MCPError(INTERNAL_ERROR, "Handler returned an invalid result") from None
        if version in MODERN_PROTOCOL_VERSIONS:
            content.setdefault("resultType", "complete")
            meta = content.get("_meta") or {}
            if meta.get(SERVER_INFO_META_KEY) is None:
                content["_meta"] = {**meta, **self._stamp}
        return content


def returns_text(metadata: FuncMetadata) -> Callable[[Any], bool | None]:
    """Make the test for a result that is text and nothing else.

    It says whether the text is structured content too; None: another way has to be taken.
    """
    if metadata.output_schema is None or metadata.output_model is None:
        return lambda result: False if type(result) is str else None
    if metadata.wrap_output and _is_wrapped_text(metadata.output_model):
        return lambda result: True if type(result) is str else None
    return lambda _: None


def _is_wrapped_text(model: Any) -> bool:
    if not (isinstance(model, type) and issubclass(model, BaseModel)):
        return False
    field = model.model_fields.get("result")
    return (
        field is not None
        and field.annotation is str
        and not field.metadata
        and len(model.model_fields) == 1
    )
