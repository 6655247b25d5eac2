"""`breakwater-runtime`: from the settings file to two ports, and out again in order.

The imports of this module are the standard library's alone: the libraries read settings of their
own from the environment while they are imported, and with a settings file none may come from there.
"""

import argparse
import contextlib
import os
import sys
import time
import uuid
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import NoReturn

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
    calls_seconds: int | None = None,
) -> int:
    """Serve until told to stop.

    Args:
        argv: The command line; by default the process's own.
        open_seconds: How long connections are still taken after the signal to stop; by default what
            the operator counts on.
        calls_seconds: How long running calls may finish after that; likewise.

    Returns:
        The exit code where the process could not start. After a drain it ends without returning.
    """
    path = Path(_arguments(argv).config)
    # Settings first: their faults are told without the second that the other imports take.
    from breakwater_runtime.settings import SettingsError, load

    try:
        settings = load(path)
    except SettingsError as error:
        return _refuse(path, error.faults, EXIT_SETTINGS)
    with _without_foreign_settings():
        from breakwater_runtime import serve
        from breakwater_runtime.calls import Sources, StartError
    sources = Sources(
        now=lambda: datetime.now(UTC),  # noqa: TID251 - main is where time comes in
        elapsed=time.perf_counter,
        new_id=lambda: uuid.uuid4().hex,  # noqa: TID251 - and identity
    )
    start = serve.Start(settings, path, version(DISTRIBUTION), sources)
    try:
        serve.serve(start, serve.drain_times(open_seconds, calls_seconds), _leave)
    except SettingsError as error:
        return _refuse(path, error.faults, EXIT_SETTINGS)
    except StartError as error:
        return _refuse(path, [str(error)], EXIT_FAILED)
    return EXIT_FAILED


def _refuse(path: Path, faults: Sequence[str], code: int) -> int:
    lines = [f"breakwater-runtime: cannot start with {path}:", *faults]
    sys.stderr.write("\n  ".join(lines) + "\n")
    return code


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
        required=True,
        help="the settings, as JSON or YAML; with them no setting comes from the environment",
    )
    parser.add_argument("--version", action="version", version=version(DISTRIBUTION))
    return parser.parse_args(argv)


@contextlib.contextmanager
def _without_foreign_settings() -> Iterator[None]:
    """Hide from the libraries imported within what they would take for settings."""
    environment = os.environ  # noqa: TID251 - main alone touches it, to keep settings out
    hidden = {name: environment.pop(name) for name in list(environment) if name.startswith(FOREIGN)}
    try:
        yield
    finally:
        environment.update(hidden)
