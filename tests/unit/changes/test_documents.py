from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from breakwater_runtime.servers.changes import documents
from breakwater_runtime.servers.changes.proposal import Proposal

pytestmark = pytest.mark.requirement("T6")

FULL = Proposal(
    "add-login",
    title="Log in with a key",
    why="People share passwords.\r\n",
    what_changes="- Keys instead of passwords",
    design="## Decisions\n\nNone yet.",
    tasks=["Write the form", "- [x] 1.7 Choose a name", "2.1 Tell people"],
    deltas={"user-auth": "## ADDED Requirements\n\n### Requirement: Keys\n"},
)

PROPOSAL_TEXT = """\
# Log in with a key

## Why

People share passwords.

## What Changes

- Keys instead of passwords

## Impact

- Affected specs: user-auth
"""

TASKS_TEXT = """\
## 1. Implementation

- [ ] 1.1 Write the form
- [x] 1.7 Choose a name
- [ ] 2.1 Tell people
"""


def test_the_template_is_filled_with_what_was_given() -> None:
    assert documents.rendered(FULL) == {
        ("proposal.md",): PROPOSAL_TEXT,
        ("tasks.md",): TASKS_TEXT,
        ("design.md",): "## Decisions\n\nNone yet.\n",
        ("specs", "user-auth", "spec.md"): "## ADDED Requirements\n\n### Requirement: Keys\n",
    }


def test_the_template_alone_has_a_title_and_no_tasks() -> None:
    written = documents.rendered(Proposal("add-login"))

    assert documents.title_of(written[("proposal.md",)]) == "Add login"
    assert documents.tasks_in(written[("tasks.md",)]) == []
    assert set(written) == {("proposal.md",), ("tasks.md",)}


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("- [ ] a", [False]),
        ("- [x] a", [True]),
        ("* [X] a", [True]),
        ("  + [ x] a", [True]),
        ("1. [x] a", [True]),
        ("- [] a", [False]),
        ("- [~] a", [False]),
        ("- [-] a", [False]),
        ("- [ ]", [False]),
        ("```\n- [ ] a\n```", [False]),
        ("- [a](https://docs.example)", []),
        ("- a", []),
        ("[ ] a", []),
        ("", []),
    ],
)
def test_only_an_x_ticks_a_task(line: str, expected: list[bool]) -> None:
    assert [task.is_done for task in documents.tasks_in(line)] == expected


@given(st.lists(st.text(alphabet="ab [x]-1.\t", max_size=30), max_size=20))
def test_taking_the_ticks_away_leaves_as_many_tasks_and_none_done(lines: list[str]) -> None:
    markdown = "\n".join(lines)

    before = documents.tasks_in(markdown)
    after = documents.tasks_in(documents.unticked(markdown))

    assert [task.text for task in after] == [task.text for task in before]
    assert not any(task.is_done for task in after)
