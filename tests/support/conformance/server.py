"""The server that the conformance suite asks for, as one ordinary MCPServer object.

Everything is written against the SDK's API for servers, so any front that serves an MCPServer can
serve this one. The names and the fixed texts are the suite's; `docs/reference/conformance.md` says
how to run it.
"""

from collections.abc import Callable
from typing import Any

import mcp_types as types
from mcp.server import MCPServer, ServerRequestContext
from mcp.server.mcpserver import RequestStateSecurity

from tests.support.conformance import changes, content, rounds, schemas, talking

STATE_KEY = b"a fixed key: the tests have nothing to hide"

TOOLS = (
    content.simple_text,
    content.image_content,
    content.audio_content,
    content.embedded_resource,
    content.multiple_content_types,
    content.error_handling,
    talking.tool_with_logging,
    talking.tool_with_progress,
    talking.sampling,
    talking.elicitation,
    talking.elicitation_sep1034_defaults,
    talking.elicitation_sep1330_enums,
    talking.missing_capability,
    talking.reconnection,
    rounds.input_required_result_elicitation,
    rounds.input_required_result_sampling,
    rounds.input_required_result_list_roots,
    rounds.input_required_result_request_state,
    rounds.input_required_result_multiple_inputs,
    rounds.input_required_result_multi_round,
    rounds.input_required_result_tampered_state,
    rounds.input_required_result_capabilities,
    schemas.x_mcp_header,
    changes.trigger_tool_change,
    changes.trigger_prompt_change,
)

PROMPTS: tuple[Callable[..., Any], ...] = (
    content.simple_prompt,
    content.prompt_with_arguments,
    content.prompt_with_embedded_resource,
    content.prompt_with_image,
    rounds.input_required_result_prompt,
)

RESOURCES: dict[str, tuple[Callable[..., Any], str]] = {
    "test://static-text": (content.static_text, "text/plain"),
    "test://static-binary": (content.static_binary, "image/png"),
    "test://watched-resource": (content.watched, "text/plain"),
    "test://template/{id}/data": (content.template_data, "application/json"),
}


def build() -> MCPServer:
    """Make the server."""
    server = MCPServer(
        "conformance",
        version="1.0.0",
        tools=[schemas.keywords()],
        request_state_security=RequestStateSecurity(keys=[STATE_KEY]),
    )
    for tool in TOOLS:
        server.add_tool(tool, name=f"test_{tool.__name__}")
    for prompt in PROMPTS:
        server.prompt(f"test_{prompt.__name__}")(prompt)
    for uri, (read, mime_type) in RESOURCES.items():
        server.resource(uri, mime_type=mime_type)(read)
    server.completion()(complete)  # type: ignore[no-untyped-call]  # the SDK gives it no types
    _serve_older_methods(server)
    return server


async def complete(
    ref: types.PromptReference | types.ResourceTemplateReference,
    argument: types.CompletionArgument,
    context: types.CompletionContext | None,
) -> types.Completion:
    """Complete the argument of a prompt from three words."""
    values = [word for word in ("paris", "park", "party") if word.startswith(argument.value)]
    return types.Completion(values=values, total=len(values), has_more=False)


async def _done(ctx: ServerRequestContext, params: object) -> types.EmptyResult:
    return types.EmptyResult()


def _serve_older_methods(server: MCPServer) -> None:
    """Serve what 2026-07-28 dropped: MCPServer has no public way to add these methods."""
    lowlevel = server._lowlevel_server
    lowlevel.add_request_handler("logging/setLevel", types.SetLevelRequestParams, _done)
    lowlevel.add_request_handler("resources/subscribe", types.SubscribeRequestParams, _done)
    lowlevel.add_request_handler("resources/unsubscribe", types.UnsubscribeRequestParams, _done)


mcp = build()
