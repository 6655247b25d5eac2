"""The status of an McpServer as its CRD describes it; `status.conclude` writes it."""

from typing import Annotated, Literal

from pydantic import Field

from breakwater_contract.model import Model
from breakwater_contract.rules import ATOMIC, list_map

NAME_MAX = 1024
VERSION_MAX = 64
VERSIONS_MAX = 32

Text = Annotated[str, Field(max_length=253)]


class ConditionStatus(Model):
    """What is true about one aspect of the server, and why."""

    type: Annotated[str, Field(max_length=64)]
    """Accepted, Available, Verified, Progressing, Degraded or Ready."""
    status: Literal["True", "False", "Unknown"]
    """Whether it is so."""
    reason: Annotated[str, Field(max_length=128)]
    """Why, in one word of a closed set."""
    message: Annotated[str, Field(max_length=32768)]
    """Why, for people: where, what was found, what is accepted, what to do."""
    observed_generation: int | None = None
    """The `metadata.generation` that this is about."""
    last_transition_time: Annotated[str, Field(json_schema_extra={"format": "date-time"})]
    """When the status of this condition last changed."""


class AddressStatus(Model):
    """Where clients find the server."""

    url: Annotated[str, Field(max_length=512)]
    """The MCP endpoint, inside the cluster."""
    external_url: Annotated[str, Field(max_length=512)] | None = None
    """The same from outside, where `spec.expose` leads there."""


class KeysStatus(Model):
    """Where clients find a key."""

    secret_name: Text
    """The Secret with the keys: each entry is a principal."""


class ServerStatus(Model):
    """What the server said of itself when it was last verified."""

    name: Annotated[str, Field(max_length=NAME_MAX)]
    """Its name."""
    version: Annotated[str, Field(max_length=NAME_MAX)]
    """Its version."""
    protocol_versions: Annotated[
        tuple[Annotated[str, Field(max_length=VERSION_MAX)], ...],
        Field(max_length=VERSIONS_MAX, json_schema_extra=ATOMIC),
    ] = ()
    """The MCP versions that it speaks."""
    tools: int
    """How many tools it lists."""


class McpServerStatus(Model):
    """What has become of the server. Written by the operator."""

    observed_generation: int | None = None
    """The `metadata.generation` that this status is about."""
    conditions: Annotated[
        tuple[ConditionStatus, ...], Field(max_length=16, json_schema_extra=list_map("type"))
    ] = ()
    """Accepted, Available, Verified, Progressing, Degraded and Ready, always all of them."""
    address: AddressStatus | None = None
    """Where clients find the server."""
    keys: KeysStatus | None = None
    """Where clients find a key."""
    revision: Text | None = None
    """The revision that the pods run or are being brought to."""
    replicas: int | None = None
    """How many pods there are."""
    ready_replicas: int | None = None
    """How many of them are ready."""
    sessions: int | None = None
    """How many sessions the pods hold that are not told to stop; above a hundred in round numbers,
    and about a minute old. How many there are now is the metric `mcp_sessions`."""
    selector: Annotated[str, Field(max_length=512)] | None = None
    """Labels of the pods, for `kubectl scale` and autoscalers."""
    server: ServerStatus | None = None
    """What the server said of itself when it was last verified."""
