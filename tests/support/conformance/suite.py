"""The official conformance suite: run against a URL, and read."""

import json
import re
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from tests.support import clients

PACKAGE = Path("@modelcontextprotocol/conformance")
REVISIONS = ("2025-11-25", "2026-07-28")
"""The revisions of the specification that the suite has frozen requirements for."""

SUITE_SECONDS_MAX = 120
SCENARIO_SECONDS_MAX = 10
NO_VERDICT = "no verdict"

_RESULT = re.compile(r"^server-(?P<scenario>.+)-\d{4}-\d\d-\d\dT[-0-9]+Z$")


@dataclass(frozen=True)
class Requirements:
    """The scenarios of one revision.

    Args:
        scored: Those that a server must pass to conform.
        others: Those that are run for information: extensions, and what was added later.
    """

    scored: frozenset[str]
    others: frozenset[str]


@dataclass(frozen=True)
class Report:
    """How a server did.

    Args:
        failing: The names of the failing checks by scenario; scenarios without any are not in it.
        passed: How many checks passed in all.
    """

    failing: Mapping[str, list[str]]
    passed: int


def requirements(revision: str) -> Requirements:
    """Read what a revision requires of servers."""
    folder = clients.packages() / "node_modules" / PACKAGE / "requirements"
    content = yaml.safe_load((folder / f"{revision}.yaml").read_text())
    others = (each for each in content["not_scored"] if each["leg"] == "server")
    return Requirements(
        frozenset(content["server"]), frozenset(each["scenario"] for each in others)
    )


async def run(url: str, revision: str) -> Report:
    """Run all scenarios of a revision, scored or not.

    Args:
        url: The endpoint. Its host must be a name that the server accepts, and that leads to the
            loopback address: the suite tries others on the same port.
        revision: The revision of the specification.
    """
    with tempfile.TemporaryDirectory() as folder:
        arguments = ("server", "--url", url, "--requirements", revision, "--output-dir", folder)
        answer = await clients.run(
            PACKAGE / "dist" / "index.js",
            *arguments,
            *("--timeout", str(SCENARIO_SECONDS_MAX * 1000)),
            timeout_seconds=SUITE_SECONDS_MAX,
        )
        checks = dict(_checks(Path(folder)))
    wanted = requirements(revision)
    missing = (wanted.scored | wanted.others) - checks.keys()
    if missing:
        said = f"{answer.errors}\n{answer.output}"
        raise RuntimeError(f"the suite left no result for {', '.join(sorted(missing))}:\n{said}")
    failing = {name: _failing(each, scored=name in wanted.scored) for name, each in checks.items()}
    return Report(
        {name: each for name, each in failing.items() if each},
        sum(check["status"] == "SUCCESS" for each in checks.values() for check in each),
    )


def _checks(folder: Path) -> Iterator[tuple[str, list[dict[str, str]]]]:
    for result in folder.glob("*/checks.json"):
        if match := _RESULT.match(result.parent.name):
            yield match["scenario"], json.loads(result.read_text())


def _failing(checks: list[dict[str, str]], *, scored: bool) -> list[str]:
    """Name the failing checks; a scored scenario that was only skipped has not passed either."""
    failing = sorted({check["name"] for check in checks if check["status"] == "FAILURE"})
    judged = any(check["status"] != "SKIPPED" for check in checks)
    return failing or ([NO_VERDICT] if scored and not judged else [])
