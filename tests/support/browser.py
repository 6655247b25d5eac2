"""Pages in a real browser: Debian's Chromium, driven by playwright-core."""

import json
import shutil
from collections.abc import Iterable, Mapping
from typing import Any

from dev.prerequisites import Program, require
from tests.support import clients

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
"""What the browser is called, by distribution."""

PAGE = clients.SOURCE / "page.html"
"""A page with a function `ask` that sends one MCP request and reads the answer as it comes."""


def chromium() -> str:
    """Return the browser's path; as root on Debian, install it when it is missing.

    Raises:
        MissingProgramsError: It is missing; the message says how to get it.
    """
    if _found() is None:
        require([Program(NAMES[0], NAMES[0])])
    return _found() or NAMES[0]


async def ask(page: str, *requests: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Open a page and let it send requests, one after the other.

    Args:
        page: The URL of the page, which is `PAGE`.
        requests: What its function `ask` is called with.

    Returns:
        What the function answered to each.
    """
    ran = await clients.run("browser.mjs", chromium(), page, json.dumps(requests))
    said = ran.json()
    assert said["errors"] == []
    answers: list[dict[str, Any]] = said["answers"]
    return answers


def messages(answer: Mapping[str, Any]) -> Iterable[dict[str, Any]]:
    """Return the messages of an answer, in the order of their coming."""
    return [each["message"] for each in answer["messages"]]


def _found() -> str | None:
    return next((path for name in NAMES if (path := shutil.which(name))), None)
