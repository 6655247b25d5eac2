"""What a process starts with."""

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NoReturn

from breakwater_contract.settings import RuntimeSettings
from breakwater_runtime.calls import Sources
from breakwater_runtime.observability.telemetry import Importing
from breakwater_runtime.settings import NOTHING_GIVEN, Given

Leave = Callable[[int], NoReturn]

Transport = Literal["http", "stdio", "both"]
"""Who is served: clients over the network, the one that started the process, or both."""

LOCAL = "local"
"""The principal that the client is who started the process, if nobody says otherwise."""


@dataclass(frozen=True)
class Identity:
    """What tells this process from the others of its server; empty where there are none."""

    uid: str = ""
    address: str = ""
    """The address at which they reach it."""


@dataclass(frozen=True)
class Start:
    """What a process starts with."""

    settings: RuntimeSettings
    path: Path
    """Where the settings were read from; relative paths in them start there."""
    version: str
    sources: Sources
    given: Given = NOTHING_GIVEN
    """Keys that the settings do not name."""
    no_key: str = ""
    """What to say where nobody can be let in; empty: what the settings file lacks."""
    importing: Importing = nullcontext
    """What libraries are imported within later; it hides from them what they would take for
    settings."""
    not_read: tuple[str, ...] = ()
    """Variables that somebody may take for settings."""
    identity: Identity = Identity()
    transport: Transport = "http"
    principal: str = LOCAL
    """Who the client is that started the process, where that is served."""
    profiling: bool = False
    """Whether the process may be profiled."""
