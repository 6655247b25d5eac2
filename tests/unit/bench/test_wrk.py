import json

import pytest

from bench.wrk import LoadError, Result, parse

NUMBERS = {
    "requests": 30_000,
    "microseconds": 2_000_000,
    "p50": 900,
    "p95": 3000,
    "p99": 8300,
    "socket_errors": 0,
    "timeouts": 0,
    "status_errors": 0,
    "checked": 300,
    "wrong": 0,
}


def _output(sample: str = "", **changes: int) -> str:
    return f"""\
Running 2s test @ http://127.0.0.1:8080/
  1 threads and 32 connections
Requests/sec:  15000.00
result {json.dumps(NUMBERS | changes)}
sample {sample}
"""


def test_the_result_is_read_from_the_line_of_our_script() -> None:
    result = parse(_output())

    assert result == Result(
        requests=30_000, seconds=2.0, p50_ms=0.9, p95_ms=3.0, p99_ms=8.3, checked=300
    )
    assert result.per_second == 15_000


@pytest.mark.parametrize("fault", ["socket_errors", "timeouts", "status_errors", "wrong"])
def test_a_single_fault_makes_the_figures_worthless(fault: str) -> None:
    with pytest.raises(LoadError, match=f"'{fault}': 1.*sample 401 who are you"):
        parse(_output("401 who are you", **{fault: 1}))


def test_no_answers_are_a_fault() -> None:
    with pytest.raises(LoadError, match=r"no answer within 2\.0 s"):
        parse(_output(requests=0))


def test_output_without_a_result_is_shown() -> None:
    with pytest.raises(LoadError, match="unable to connect"):
        parse("unable to connect to 127.0.0.1:8080 Connection refused\n")
