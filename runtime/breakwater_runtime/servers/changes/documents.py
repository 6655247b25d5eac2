"""The Markdown of a change: the template it is opened from, and the boxes of its tasks."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from breakwater_runtime.servers.changes.proposal import Proposal

PROPOSAL = "proposal.md"
TASKS = "tasks.md"
DESIGN = "design.md"
SPECS = "specs"
SPEC = "spec.md"

# OpenSpec's rule: only x marks a task as done, every other mark is work left over. What follows
# the box must be a space or the line's end: `- [a](https://...)` is a link.
_BOX = re.compile(
    r"(?P<head>\s*(?:[-*+]|\d+[.)])\s+\[)(?P<mark>[^\]\n]{0,8})\](?=\s|$)(?P<text>.*)"
)
_NUMBERED = re.compile(r"\d+(?:\.\d+)+\s")


@dataclass(frozen=True)
class Task:
    """One line of a task list."""

    text: str
    is_done: bool


def tasks_in(markdown: str) -> list[Task]:
    """Return the tasks of a task list. Boxes in code blocks count too: better one too many."""
    found = (_BOX.match(line) for line in markdown.splitlines())
    return [
        Task(text=box["text"].strip(), is_done=box["mark"].strip() in {"x", "X"})
        for box in found
        if box is not None
    ]


def unticked(markdown: str) -> str:
    """Return a task list as it was before anybody worked on it."""
    return "\n".join(_BOX.sub(r"\g<head> ]\g<text>", line) for line in markdown.split("\n"))


def title_of(markdown: str) -> str:
    """Return the first heading of a proposal, empty where there is none."""
    for line in markdown.splitlines():
        if line.startswith("# "):
            return line[2:].strip()
    return ""


def rendered(proposal: Proposal) -> dict[tuple[str, ...], str]:
    """Return the documents of a new change by their path in its folder."""
    documents: dict[tuple[str, ...], str] = {
        (PROPOSAL,): _proposal(proposal),
        (TASKS,): _tasks(proposal.tasks),
    }
    if proposal.design:
        documents[(DESIGN,)] = _ended(proposal.design)
    for capability, delta in sorted(proposal.deltas.items()):
        documents[(SPECS, capability, SPEC)] = _ended(delta)
    return documents


def _proposal(proposal: Proposal) -> str:
    title = proposal.title.strip() or proposal.change.replace("-", " ").capitalize()
    why = proposal.why or "<!-- The problem or the opportunity, and why now -->"
    what = (
        proposal.what_changes or "<!-- What will be different; mark what breaks with BREAKING -->"
    )
    specs = (
        ", ".join(sorted(proposal.deltas)) or "<!-- The capabilities whose requirements change -->"
    )
    return (
        f"# {title}\n\n## Why\n\n{_ended(why)}\n## What Changes\n\n{_ended(what)}\n"
        f"## Impact\n\n- Affected specs: {specs}\n"
    )


def _tasks(tasks: Sequence[str]) -> str:
    lines = [_task(number, text) for number, text in enumerate(tasks, start=1)]
    listed = "\n".join(lines or ["<!-- What is to be done: one line each, as `- [ ] 1.1 ...` -->"])
    return f"## 1. Implementation\n\n{listed}\n"


def _task(number: int, text: str) -> str:
    """Write a task as OpenSpec numbers them. Boxes and numbers that came with it are kept."""
    text = text.strip()
    if _BOX.match(text):
        return text
    return f"- [ ] {text}" if _NUMBERED.match(text) else f"- [ ] 1.{number} {text}"


def _ended(text: str) -> str:
    """Return a text with Unix line ends and exactly one at its end."""
    return text.replace("\r\n", "\n").replace("\r", "\n").strip("\n") + "\n"
