"""wrk, the load generator: one closed loop per connection."""

from __future__ import annotations

import json
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dev.prerequisites import Program, require

if TYPE_CHECKING:
    from collections.abc import Sequence

SCRIPT = Path(__file__).with_suffix(".lua")
WRK = Program("wrk", "wrk")
ID = "@ID@"
ID_DIGITS = 10
"""How long the ids are that stand in place of ID."""

RESULT = "result "
SAMPLE = "sample "
MARGIN_SECONDS = 20
"""How long wrk may take beyond the time that it was given."""


class LoadError(Exception):
    """The load could not be put on, or the answers were wrong."""


@dataclass(frozen=True, slots=True)
class Load:
    """What is put on a server."""

    port: int
    requests: tuple[str, ...]
    """Whole HTTP requests, taken in turn; ID stands for the id of the call."""
    connections: int
    seconds: int
    first_id: int
    """Ids count up from here; sessions must not see one twice."""
    is_checked: bool = True
    """Whether answers are looked into; a constant answer has nothing of the call in it."""


@dataclass(frozen=True, slots=True)
class Result:
    """What the answers were like."""

    requests: int
    seconds: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    checked: int

    @property
    def per_second(self) -> float:
        """Answers per second of the clock."""
        return self.requests / self.seconds


def install() -> None:
    """Make sure that wrk is there."""
    require([WRK])


def version() -> dict[str, str]:
    """Get its version."""
    # It prints its version among its usage, and calls that a failure.
    done = subprocess.run([WRK.command, "--version"], check=False, capture_output=True, text=True)
    return {"wrk": done.stdout.split()[1]}


def run(load: Load) -> Result:
    """Put load on a server.

    Raises:
        LoadError: It could not be reached, or answered with errors, or with somebody else's answer.
    """
    with tempfile.TemporaryDirectory(prefix="breakwater-bench-") as folder:
        files = [Path(folder, str(number)) for number in range(len(load.requests))]
        for file, request in zip(files, load.requests, strict=True):
            file.write_bytes(request.encode())
        done = subprocess.run(
            _command(load, files),
            check=False,
            capture_output=True,
            text=True,
            timeout=load.seconds + MARGIN_SECONDS,
        )
    if done.returncode != 0:
        raise LoadError(f"wrk ended with {done.returncode}: {done.stdout}{done.stderr}".strip())
    return parse(done.stdout)


def _command(load: Load, files: Sequence[Path]) -> list[str]:
    return [
        WRK.command,
        *("--threads", "1", "--connections", str(load.connections)),
        *("--duration", f"{load.seconds}s", "--timeout", "10s", "--script", str(SCRIPT)),
        *(f"http://127.0.0.1:{load.port}/", "--", str(load.first_id)),
        "check" if load.is_checked else "trust",
        *map(str, files),
    ]


def parse(output: str) -> Result:
    """Read what our script prints at the end.

    Raises:
        LoadError: Something went wrong with the answers, or there were none.
    """
    lines = output.splitlines()
    found = next((line for line in lines if line.startswith(RESULT)), None)
    if found is None:
        raise LoadError(f"wrk printed no result: {output}")
    numbers: dict[str, int] = json.loads(found.removeprefix(RESULT))
    faults = {name: numbers[name] for name in FAULTS if numbers[name]}
    if faults:
        sample = next((line for line in lines if line.startswith(SAMPLE)), SAMPLE)
        raise LoadError(f"of {numbers['requests']} answers: {faults}; {sample}".strip())
    if not numbers["requests"]:
        raise LoadError(
            f"no answer within {numbers['microseconds'] / 1e6:.1f} s, and no error either: is the "
            "machine busy with other work? Try again when it is not"
        )
    return Result(
        requests=numbers["requests"],
        seconds=numbers["microseconds"] / 1e6,
        p50_ms=numbers["p50"] / 1e3,
        p95_ms=numbers["p95"] / 1e3,
        p99_ms=numbers["p99"] / 1e3,
        checked=numbers["checked"],
    )


FAULTS = ("socket_errors", "timeouts", "status_errors", "wrong")
