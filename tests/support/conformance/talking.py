"""Tools that say or ask something while they run: logs, progress, sampling, elicitation.

What they ask goes back over the connection of the call, which exists up to 2025-11-25 only; the
multi-round requests that took its place are in `rounds`.
"""

import asyncio
from typing import Any

from mcp.server.mcpserver import AcceptedElicitation, Context, ElicitationResult
from mcp.shared.exceptions import MCPError
from mcp_types import MISSING_REQUIRED_CLIENT_CAPABILITY, SamplingMessage, TextContent
from pydantic import BaseModel, Field, JsonValue

STEP_SECONDS = 0.05
"""Long enough that a client which reads as it goes sees each message by itself."""


async def tool_with_logging(ctx: Context[Any]) -> str:
    """Log three times."""
    for said in ("Tool execution started", "Tool processing data", "Tool execution completed"):
        await ctx.log("info", said)
        await asyncio.sleep(STEP_SECONDS)
    return "Tool with logging executed successfully"


async def tool_with_progress(ctx: Context[Any]) -> str:
    """Report progress three times."""
    for done in (0, 50, 100):
        await ctx.report_progress(done, 100, f"Completed step {done} of 100")
        await asyncio.sleep(STEP_SECONDS)
    return "Tool with progress executed successfully"


async def sampling(prompt: str, ctx: Context[Any]) -> str:
    """Ask the client's model."""
    # Named here, the request goes out on the stream of this call; else it would go to the GET
    # stream, and be lost where none is open.
    result = await ctx.session.create_message(
        messages=[SamplingMessage(role="user", content=TextContent(type="text", text=prompt))],
        max_tokens=100,
        related_request_id=ctx.request_id,
    )
    answer = result.content
    return f"LLM response: {answer.text if isinstance(answer, TextContent) else answer.type}"


class Answer(BaseModel):
    """What the user is asked for."""

    response: str = Field(description="User's response")


async def elicitation(message: str, ctx: Context[Any]) -> str:
    """Ask the user."""
    result = await ctx.elicit(message, Answer)
    return f"User response: {_told(result)}"


class Defaults(BaseModel):
    """A default for every primitive type (SEP-1034)."""

    name: str = Field(default="John Doe", description="User name")
    age: int = Field(default=30, description="User age")
    score: float = Field(default=95.5, description="User score")
    status: str = Field(
        default="active",
        description="User status",
        json_schema_extra={"enum": ["active", "inactive", "pending"]},
    )
    verified: bool = Field(default=True, description="Verification status")


async def elicitation_sep1034_defaults(ctx: Context[Any]) -> str:
    """Ask the user for what has defaults."""
    result = await ctx.elicit("Please provide user information", Defaults)
    return f"Elicitation completed: {_told(result)}"


def _titled(**titles: str) -> list[JsonValue]:
    return [{"const": value, "title": title} for value, title in titles.items()]


class Choices(BaseModel):
    """Every way to write an enumeration (SEP-1330)."""

    untitledSingle: str = Field(  # noqa: N815 - the suite names the members
        description="One of three", json_schema_extra={"enum": ["option1", "option2", "option3"]}
    )
    titledSingle: str = Field(  # noqa: N815 - as above
        description="One of three, with titles",
        json_schema_extra={
            "oneOf": _titled(low="Low Priority", medium="Medium Priority", high="High Priority")
        },
    )
    legacyEnum: str = Field(  # noqa: N815 - as above
        description="One of three, with the names of older clients",
        json_schema_extra={
            "enum": ["opt1", "opt2", "opt3"],
            "enumNames": ["Option One", "Option Two", "Option Three"],
        },
    )
    untitledMulti: list[str] = Field(  # noqa: N815 - as above
        description="Some of three",
        json_schema_extra={"items": {"type": "string", "enum": ["option1", "option2", "option3"]}},
    )
    titledMulti: list[str] = Field(  # noqa: N815 - as above
        description="Some of three, with titles",
        json_schema_extra={
            "items": {"anyOf": _titled(feature="New Feature", bug="Bug Fix", docs="Manual")}
        },
    )


async def elicitation_sep1330_enums(ctx: Context[Any]) -> str:
    """Ask the user to choose."""
    result = await ctx.elicit("Please select options from the enum fields", Choices)
    return f"Elicitation completed: {_told(result)}"


async def missing_capability(ctx: Context[Any]) -> str:
    """Refuse a client that cannot sample."""
    capabilities = ctx.client_capabilities
    if capabilities is None or capabilities.sampling is None:
        raise MCPError(
            MISSING_REQUIRED_CLIENT_CAPABILITY,
            "This tool requires the client 'sampling' capability",
            {"requiredCapabilities": {"sampling": {}}},
        )
    return "The client can sample"


async def reconnection(ctx: Context[Any]) -> str:
    """End the stream of the call and go on; the client comes back for the answer (SEP-1699)."""
    await ctx.log("info", "Before the stream ends")
    await ctx.close_sse_stream()
    await asyncio.sleep(4 * STEP_SECONDS)
    await ctx.log("info", "After the client came back")
    return "Reconnection test completed successfully"


def _told(result: ElicitationResult[Any]) -> str:
    content = result.data.model_dump_json() if isinstance(result, AcceptedElicitation) else "{}"
    return f"action={result.action}, content={content}"
