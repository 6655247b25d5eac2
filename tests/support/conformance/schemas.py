"""Tools whose schemas must arrive at the client as they were written."""

from typing import Annotated, Any

from mcp.server.mcpserver.tools import Tool
from pydantic import Field

KEYWORDS: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "$defs": {
        "address": {
            "$anchor": "addressDef",
            "type": "object",
            "properties": {"street": {"type": "string"}, "city": {"type": "string"}},
        }
    },
    "properties": {
        "name": {"type": "string"},
        "address": {"$ref": "#/$defs/address"},
        "contactMethod": {"type": "string", "enum": ["phone", "email"]},
        "phone": {"type": "string"},
        "email": {"type": "string"},
    },
    "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
    "if": {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]},
    "then": {"required": ["phone"]},
    "else": {"required": ["email"]},
    "additionalProperties": False,
}
"""The keywords of JSON Schema 2020-12 that servers have been seen to drop (SEP-1613, SEP-2106)."""


def x_mcp_header(
    region: Annotated[
        str,
        Field(
            description="Also sent as the header Mcp-Param-Region",
            json_schema_extra={"x-mcp-header": "Region"},
        ),
    ] = "nowhere",
) -> str:
    """Answer with the region that body and header agree on (SEP-2243)."""
    return f"region={region}"


def keywords() -> Tool:
    """A tool with the schema `KEYWORDS`, which no Python signature says."""
    tool = Tool.from_function(_nothing, name="json_schema_2020_12_tool")
    tool.parameters = KEYWORDS
    return tool


def _nothing() -> str:
    """Accept what the schema accepts."""
    return "accepted"
