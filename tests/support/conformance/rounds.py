"""Tools and a prompt that need input and get it in a further round (SEP-2322, since 2026-07-28)."""

import json
from typing import Any

from mcp.server.mcpserver import Context, UserMessage
from mcp_types import (
    CreateMessageRequest,
    CreateMessageRequestParams,
    CreateMessageResult,
    ElicitRequest,
    ElicitRequestFormParams,
    ElicitResult,
    InputRequest,
    InputRequiredResult,
    ListRootsRequest,
    ListRootsResult,
    SamplingMessage,
    TextContent,
)


async def input_required_result_elicitation(ctx: Context[Any]) -> str | InputRequiredResult:
    """Ask for a name and greet."""
    name = _field(ctx, "user_name", "name")
    if name is None:
        return InputRequiredResult(input_requests={"user_name": _ask("What is your name?", "name")})
    return f"Hello, {name}!"


async def input_required_result_sampling(ctx: Context[Any]) -> str | InputRequiredResult:
    """Ask the client's model."""
    answer = _response(ctx, "capital_question")
    if not isinstance(answer, CreateMessageResult):
        question = _sample("What is the capital of France?")
        return InputRequiredResult(input_requests={"capital_question": question})
    content = answer.content
    return f"Model said: {content.text if isinstance(content, TextContent) else content.type}"


async def input_required_result_list_roots(ctx: Context[Any]) -> str | InputRequiredResult:
    """Ask for the client's roots."""
    answer = _response(ctx, "client_roots")
    if not isinstance(answer, ListRootsResult):
        return InputRequiredResult(input_requests={"client_roots": ListRootsRequest()})
    return f"The client has {len(answer.roots)} roots"


async def input_required_result_request_state(ctx: Context[Any]) -> str | InputRequiredResult:
    """Ask for a confirmation and know the state again."""
    if _response(ctx, "confirm") is not None and ctx.request_state == "confirming":
        return "state-ok: confirmed"
    return InputRequiredResult(
        input_requests={"confirm": _ask("Please confirm", "ok", "boolean")},
        request_state="confirming",
    )


async def input_required_result_multiple_inputs(ctx: Context[Any]) -> str | InputRequiredResult:
    """Ask the user, the model and for the roots, all at once."""
    asked: dict[str, InputRequest] = {
        "user_name": _ask("What is your name?", "name"),
        "greeting": _sample("Generate a greeting"),
        "client_roots": ListRootsRequest(),
    }
    if all(_response(ctx, key) is not None for key in asked):
        return "All inputs received"
    return InputRequiredResult(input_requests=asked, request_state="multiple-inputs")


async def input_required_result_multi_round(ctx: Context[Any]) -> str | InputRequiredResult:
    """Ask for a name, then for a colour; the name travels in the state."""
    state = json.loads(ctx.request_state or "{}")
    color = _field(ctx, "step2", "color")
    if "name" in state and color is not None:
        return f"{state['name']} likes {color}"
    name = _field(ctx, "step1", "name") or state.get("name")
    if name is None:
        return InputRequiredResult(
            input_requests={"step1": _ask("Step 1: What is your name?", "name")},
            request_state=json.dumps({"round": 1}),
        )
    return InputRequiredResult(
        input_requests={"step2": _ask("Step 2: What is your favorite color?", "color")},
        request_state=json.dumps({"round": 2, "name": name}),
    )


async def input_required_result_tampered_state(ctx: Context[Any]) -> str | InputRequiredResult:
    """Hand out a state; one that comes back changed never gets here."""
    if ctx.request_state is None:
        return InputRequiredResult(
            input_requests={"confirm": _ask("Please confirm", "ok", "boolean")},
            request_state="round-1",
        )
    return f"state-ok: {ctx.request_state}"


async def input_required_result_capabilities(ctx: Context[Any]) -> InputRequiredResult:
    """Ask only for what the client can do."""
    can = ctx.client_capabilities
    asked: dict[str, InputRequest] = {}
    if can is not None and can.sampling is not None:
        asked["sample"] = _sample("Say hello")
    if can is not None and can.elicitation is not None:
        asked["ask"] = _ask("What is your name?", "name")
    return InputRequiredResult(input_requests=asked, request_state="capabilities")


async def input_required_result_prompt(
    ctx: Context[Any],
) -> list[UserMessage] | InputRequiredResult:
    """A prompt that asks for what it is about."""
    about = _field(ctx, "user_context", "context")
    if about is None:
        question = _ask("What context should the prompt use?", "context")
        return InputRequiredResult(input_requests={"user_context": question})
    return [UserMessage(f"Use the following context: {about}")]


def _ask(message: str, member: str, kind: str = "string") -> ElicitRequest:
    schema = {"type": "object", "properties": {member: {"type": kind}}, "required": [member]}
    return ElicitRequest(params=ElicitRequestFormParams(message=message, requested_schema=schema))


def _sample(text: str) -> CreateMessageRequest:
    message = SamplingMessage(role="user", content=TextContent(type="text", text=text))
    return CreateMessageRequest(
        params=CreateMessageRequestParams(messages=[message], max_tokens=100)
    )


def _response(ctx: Context[Any], key: str) -> Any:
    return (ctx.input_responses or {}).get(key)


def _field(ctx: Context[Any], key: str, member: str) -> Any:
    answer = _response(ctx, key)
    return (answer.content or {}).get(member) if isinstance(answer, ElicitResult) else None
