"""Calls of tools without the SDK's detours: what can be known of a tool is known before.

A call means what it means to the SDK, down to the texts of errors; the tests compare the two.
"""

import json
import logging
import re
import time
from collections.abc import Mapping
from typing import Any

from mcp.server._otel import OpenTelemetryMiddleware
from mcp.server.connection import Connection
from mcp.server.context import ServerRequestContext
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import (
    ResourceError,
    ToolError,
    UnexpectedResourceError,
    UnexpectedToolError,
)
from mcp.server.mcpserver.tools import Tool, ToolManager
from mcp.server.request_state import RequestStateBoundary
from mcp.server.session import ServerSession
from mcp.shared.exceptions import MCPError
from mcp_types import InputRequiredResult, RequestParams
from opentelemetry import trace
from pydantic import ValidationError

from breakwater_runtime.backends.encoding import dumps
from breakwater_runtime.backends.python.envelopes import Envelopes, connection
from breakwater_runtime.backends.python.exchange import Exchange
from breakwater_runtime.backends.python.results import TOOLS_CALL, Results, returns_text
from breakwater_runtime.backends.threads import Threads
from breakwater_runtime.calls import Call, Outcome, RpcError
from breakwater_runtime.observability import trace_context

logger = logging.getLogger(__name__)

OVERRIDABLE = ("_handle_call_tool", "call_tool")
"""Where a subclass of MCPServer would have its say."""


class CompiledTool:
    """One tool, ready to be called."""

    def __init__(self, tool: Tool) -> None:
        """Look at the tool once."""
        metadata = tool.fn_metadata
        self.tool = tool
        self.function = tool.fn
        self.metadata = metadata
        self.model = metadata.arg_model
        self.output = metadata.output_model
        self.name = tool.name
        self.is_async = tool.is_async
        self.context_name = tool.context_kwarg
        self.text = returns_text(metadata)
        self._validate = self.model.__pydantic_validator__.validate_python
        fields = self.model.model_fields
        self._names = [(name, field.alias or name) for name, field in fields.items()]
        self._as_they_are = all(name == out for name, out in self._names)
        # Only what is no text may arrive as text with JSON in it.
        self._parsed = frozenset(
            key
            for name, field in fields.items()
            if field.annotation is not str
            for key in (name, field.alias)
            if key
        )

    @property
    def is_current(self) -> bool:
        """Whether nobody changed the tool since."""
        tool, metadata = self.tool, self.metadata
        return (
            tool.fn is self.function
            and tool.fn_metadata is metadata
            and metadata.arg_model is self.model
            and metadata.output_model is self.output
        )

    def arguments(self, given: dict[str, Any]) -> dict[str, Any]:
        """Make the function's arguments of what the client sent.

        Raises:
            ValidationError: They do not match the tool's schema.
        """
        if self._parsed and not self._parsed.isdisjoint(given):
            given = self._parse(given)
        model = self._validate(given)
        if self._as_they_are:
            return dict(model.__dict__)
        return {out: getattr(model, name) for name, out in self._names}

    def _parse(self, given: dict[str, Any]) -> dict[str, Any]:
        """Read text that is JSON where no text is wanted, as some clients send it."""
        parsed = given
        for name in self._parsed.intersection(given):
            value = given[name]
            if isinstance(value, str):
                try:
                    content = json.loads(value)
                except (ValueError, RecursionError):
                    continue
                if not isinstance(content, str | int | float):
                    parsed = {**parsed, name: content}
        return parsed


class Tools:
    """Calls the tools of one MCPServer where its own way of calling them has nothing to add."""

    def __init__(self, mcp: MCPServer, threads: Threads, envelopes: Envelopes) -> None:
        """Call tools of `mcp`, the synchronous ones in `threads`."""
        self._mcp = mcp
        self._server = mcp._lowlevel_server
        self._threads = threads
        self._results = Results(self._server)
        self._envelopes = envelopes
        self._compiled: dict[str, CompiledTool] = {}
        self._lifespan: Any = None
        self._entry: object = None

    def start(self, lifespan: Any) -> None:
        """Look at the server once its lifespan has begun."""
        self._lifespan = lifespan
        entry = self._server.get_request_handler(TOOLS_CALL)
        bound = getattr(entry.handler, "__func__", None) if entry is not None else None
        is_plain = (
            bound is MCPServer._handle_call_tool
            and type(self._mcp._tool_manager) is ToolManager
            and all(
                getattr(type(self._mcp), name) is getattr(MCPServer, name)
                and name not in vars(self._mcp)
                for name in OVERRIDABLE
            )
            # With a provider of traces of its own, the server wants the SDK's spans.
            and (
                isinstance(provider := trace.get_tracer_provider(), trace.ProxyTracerProvider)
                or trace_context.is_ours(provider)
            )
        )
        self._entry = entry if is_plain else None

    @property
    def has_no_middleware(self) -> bool:
        """Whether the server has none but what the SDK puts there itself."""
        middleware = self._server.middleware
        return (
            len(middleware) == 2
            and type(middleware[0]) is OpenTelemetryMiddleware
            and type(middleware[1]) is RequestStateBoundary
        )

    def find(self, call: Call) -> CompiledTool | None:
        """Find the tool that a call can be given to directly; None: the kernel has to do it."""
        if (
            self._entry is None
            or self._server.get_request_handler(TOOLS_CALL) is not self._entry
            or not self.has_no_middleware
            or not self._envelopes.accepts(call.version, call.params)
        ):
            return None
        tool = self._mcp._tool_manager.get_tool((call.params or {})["name"])
        return None if tool is None else self._compile(tool)

    def _compile(self, tool: Tool) -> CompiledTool | None:
        compiled = self._compiled.get(tool.name)
        if compiled is not None and compiled.tool is tool and compiled.is_current:
            return compiled
        if type(tool) is not Tool or tool.resolved_params:
            return None
        compiled = self._compiled[tool.name] = CompiledTool(tool)
        return compiled

    async def call(self, tool: CompiledTool, call: Call, client: Connection | None) -> bytes:
        """Call a tool; what goes wrong in it is a result too.

        Raises:
            RpcError: The tool answered with an error of the protocol.
        """
        try:
            return await self._call(tool, call, client)
        except MCPError as error:
            raise RpcError(error.code, error.message, error.data) from error
        except ToolError as failure:
            _log(tool.name, failure)
            crashed = isinstance(failure, UnexpectedToolError)
            call.outcome = "server_error" if crashed else "caller_error"
            return self._results.error(str(failure), call.version)

    async def _call(self, tool: CompiledTool, call: Call, client: Connection | None) -> bytes:
        arguments = _arguments(tool, (call.params or {}).get("arguments") or {})
        if tool.context_name is not None:
            arguments[tool.context_name] = Context(
                request_context=self._context(call, client),
                mcp_server=self._mcp,
                subscriptions=self._mcp._subscriptions,
            )
        try:
            since = time.perf_counter()
            try:
                if tool.is_async:
                    result = await tool.function(**arguments)
                else:
                    result = await self._threads.run(tool.function, arguments)
            finally:
                call.tool_seconds = time.perf_counter() - since
            structured = tool.text(result)
            if structured is not None:
                return self._results.text(result, call.version, structured=structured)
            converted = tool.metadata.convert_result(result)
        except Exception as failure:
            raise _as_the_sdk_says(tool.name, failure) from failure
        if isinstance(converted, InputRequiredResult):
            return await self._ask_again(converted, call, client)
        if converted.is_error:
            call.outcome = "caller_error"
        return self._results.write(converted, call.version)

    async def _ask_again(
        self, result: InputRequiredResult, call: Call, client: Connection | None
    ) -> bytes:
        """Let the SDK seal what the client must bring back."""
        content = self._results.shape(TOOLS_CALL, result, call.version)
        boundary = self._server.middleware[1]

        async def made(_: object) -> dict[str, Any]:
            return content

        return dumps(await boundary(self._context(call, client), made))

    def _context(self, call: Call, client: Connection | None) -> ServerRequestContext[Any, Any]:
        meta = (call.params or {}).get("_meta")
        typed = RequestParams.model_validate({"_meta": meta}, by_name=False).meta if meta else None
        exchange = Exchange(call)
        known = client or connection(call.version, call.params)
        return ServerRequestContext(
            session=ServerSession(exchange, known, request_meta=typed),
            lifespan_context=self._lifespan,
            method=call.method,
            params=call.params,
            request_id=call.id,
            meta=typed,
            protocol_version=call.version,
            request=exchange.message_metadata.request_context,
            close_sse_stream=call.channel.close_stream,
        )


def _arguments(tool: CompiledTool, given: dict[str, Any]) -> dict[str, Any]:
    try:
        return tool.arguments(given)
    except ValidationError as invalid:
        raise ToolError(f"Error executing tool {tool.name}: {invalid}") from invalid
    except MCPError:
        raise
    except Exception as failure:
        raise UnexpectedToolError(f"Error executing tool {tool.name}") from failure


def _as_the_sdk_says(name: str, failure: Exception) -> Exception:
    """Say what the client is told of an exception in a tool: of a crash, nothing but that."""
    if isinstance(failure, MCPError):
        return failure
    if isinstance(failure, UnexpectedToolError | UnexpectedResourceError):
        return UnexpectedToolError(f"Error executing tool {name}: {failure}")
    if isinstance(failure, ToolError | ResourceError):
        return ToolError(f"Error executing tool {name}: {failure}")
    return UnexpectedToolError(f"Error executing tool {name}")


def outcome_of_error(result: Mapping[str, Any]) -> Outcome:
    """Say whose fault a tool's error is; of a crash the SDK says where it was, and no more."""
    texts = [str(each.get("text")) for each in result.get("content", ())]
    crashed = len(texts) == 1 and _CRASH.fullmatch(texts[0]) is not None
    return "server_error" if crashed else "caller_error"


_CRASH = re.compile(r"(Error executing tool [^:\s]+(: |$))+")


def _log(name: str, failure: ToolError) -> None:
    if isinstance(failure, UnexpectedToolError):
        logger.error("tool crashed", extra={"tool": name}, exc_info=failure)
    elif isinstance(failure.__cause__, ValidationError):
        # The names of the fields only: what was sent is the caller's.
        fields = {".".join(map(str, each["loc"])) for each in failure.__cause__.errors()}
        logger.info("tool refused arguments", extra={"tool": name, "fields": sorted(fields)})
    else:
        logger.info("tool failed", extra={"tool": name, "reason": str(failure)})
