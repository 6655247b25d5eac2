"""`breakwater-runtime`: from the settings file to two ports, and out again in order.

The imports of this module are the standard library's alone: the libraries read settings of their
own from the environment while they are imported, and with a settings file none may come from there.
"""

import argparse
import contextlib
import os
import re
import sys
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from breakwater_runtime.environment.reading import Configured

DISTRIBUTION = "mcp-breakwater"

FOREIGN = ("OTEL_", "PROMETHEUS_", "prometheus_")
"""Beginnings of the variables that our libraries take for settings while they are imported.

They are hidden from these alone and not from the Python backend, whose own code may want them.
"""

EXIT_FAILED = 1
EXIT_SETTINGS = 2


def run(
    argv: Sequence[str] | None = None,
    *,
    open_seconds: float | None = None,
    drain_seconds: float | None = None,
) -> int:
    """Serve until told to stop.

    Args:
        argv: The command line; by default the process's own.
        open_seconds: How long connections are still taken after the signal to stop; by default what
            the operator counts on.
        drain_seconds: How long calls may go on and sessions be reached after that; by default
            what the settings say.

    Returns:
        The exit code where the process could not start. After a drain it ends without returning.
    """
    arguments = _arguments(argv)
    config = arguments.config
    # Settings first: their faults are told without the second that the other imports take.
    from breakwater_runtime.environment.reading import NO_KEY, Configured
    from breakwater_runtime.settings import NOTHING_GIVEN, SettingsError, load

    source = config or "the environment"
    try:
        if config is None:
            configured = _from_environment()
        else:
            configured = Configured(load(Path(config)), Path(config), NOTHING_GIVEN)
    except SettingsError as error:
        return _refuse(source, error.faults, EXIT_SETTINGS)
    if all(backend.python is None for backend in configured.settings.backends):
        # No code but ours, so that nobody misses them: not even what is imported later sees them.
        _take_foreign_settings()
    with _without_foreign_settings():
        from breakwater_runtime import serve
        from breakwater_runtime.calls import Sources, StartError
    sources = Sources(
        now=lambda: datetime.now(UTC),  # noqa: TID251 - main is where time comes in
        elapsed=time.perf_counter,
        new_id=lambda: os.urandom(16).hex(),  # and identity
    )
    start = serve.Start(
        configured.settings,
        configured.path,
        version(DISTRIBUTION),
        sources,
        configured.given,
        no_key="" if config else NO_KEY,
        importing=_without_foreign_settings,
        not_read=_not_read() if config else (),
        identity=serve.Identity(arguments.pod_uid, arguments.pod_address),
        transport=arguments.transport,
        principal=arguments.principal,
        profiling=arguments.profile,
    )
    try:
        serve.serve(
            start, serve.drain_times(configured.settings, open_seconds, drain_seconds), _leave
        )
    except SettingsError as error:
        return _refuse(source, error.faults, EXIT_SETTINGS)
    except StartError as error:
        return _refuse(source, [str(error)], EXIT_FAILED)
    return EXIT_FAILED


def _refuse(source: str, faults: Sequence[str], code: int) -> int:
    lines = [f"breakwater-runtime: cannot start with {source}:", *faults]
    sys.stderr.write("\n  ".join(lines) + "\n")
    return code


def _from_environment() -> "Configured":
    """Read the settings from the environment, and take what is secret out of it.

    Raises:
        SettingsError: With every fault.
    """
    from breakwater_runtime.environment.reading import SECRET_NAMES, read

    environment = os.environ  # noqa: TID251 - main alone reads it
    configured = read(environment, Path.cwd())
    for name in SECRET_NAMES:
        environment.pop(name, None)
    return configured


def _not_read() -> tuple[str, ...]:
    """Name the variables that look like settings and are none, since there is a file."""
    return tuple(sorted(it for it in os.environ if it.startswith("BREAKWATER_")))  # noqa: TID251 - main alone reads it


def _leave(code: int) -> NoReturn:
    """End the process at once: a tool in a thread that never returns would hold its exit."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "breakwater-runtime", description="Serve MCP servers behind authentication and limits."
    )
    parser.add_argument(
        "--config",
        metavar="FILE",
        help="the settings, as JSON or YAML; with them no setting comes from the environment, "
        "without them all do (docs/reference/environment.md)",
    )
    parser.add_argument(
        "--transport",
        choices=("http", "stdio", "both"),
        default="http",
        help="who is served: clients over the network (http), the one that starts this process and "
        "speaks MCP over its standard streams (stdio), or both; default: http",
    )
    parser.add_argument(
        "--principal",
        metavar="NAME",
        type=_principal,
        default="local",
        help="who the client is that starts this process, to policies, rates and the audit; "
        "default: local",
    )
    parser.add_argument(
        "--profile",
        action="store_true",
        help="offer /profile on the management port to holders of an admin key; for development",
    )
    parser.add_argument(
        "--pod-uid",
        metavar="UID",
        default="",
        help="what tells this process from the others of its server, where there are several",
    )
    parser.add_argument(
        "--pod-address",
        metavar="IP",
        default="",
        help="the address at which they reach it, on the port listen.internalPort",
    )
    parser.add_argument("--version", action="version", version=version(DISTRIBUTION))
    return parser.parse_args(argv)


def _principal(text: str) -> str:
    """Check a name.

    Raises:
        argparse.ArgumentTypeError: It could not be told from other text in a log.
    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,127}", text):
        raise argparse.ArgumentTypeError(
            f"{text!r} is no name; accepted are letters, digits, '.', '_', '@' and '-'"
        )
    return text


@contextlib.contextmanager
def _without_foreign_settings() -> Iterator[None]:
    """Hide from the libraries imported within what they would take for settings."""
    hidden = _take_foreign_settings()
    try:
        yield
    finally:
        os.environ.update(hidden)  # noqa: TID251 - main alone touches it, to keep settings out


def _take_foreign_settings() -> dict[str, str]:
    """Take out of the environment what our libraries would take for settings."""
    environment = os.environ  # noqa: TID251 - main alone touches it, to keep settings out
    return {name: environment.pop(name) for name in list(environment) if name.startswith(FOREIGN)}
