from pathlib import Path

import pytest

from breakwater_runtime.calls import Problem

REFERENCE = Path(__file__).parents[3] / "docs/reference/errors.md"


@pytest.mark.requirement("W6")
def test_the_reference_lists_every_code_as_it_is_answered() -> None:
    rows = [line for line in REFERENCE.read_text().splitlines() if line.startswith("| `")]

    assert rows == [
        f"| `{problem.name}` | {answer.status} | {answer.rpc_code} | {answer.message} "
        f"| {answer.hint} | {'yes' if answer.retryable else 'no'} |"
        for problem in Problem
        for answer in [problem.value]
    ]
