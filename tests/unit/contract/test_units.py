"""Durations and sizes: one spelling of each."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from breakwater_contract.limits import Limits
from breakwater_contract.units import BYTES, MILLISECONDS, Duration, Quantity


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("30s", "30s"),
        ("60s", "1m"),
        ("90s", "1m30s"),
        ("30m1h", "1h30m"),
        ("36h", "36h"),
        ("1.5s", "1s500ms"),
        ("0ms", "0s"),
        ("0.5ms", "0.5ms"),
    ],
)
def test_a_duration_has_one_spelling(written: str, kept: str) -> None:
    assert Duration(written) == kept


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("1048576", "1Mi"),
        ("1024Ki", "1Mi"),
        ("1.5Gi", "1536Mi"),
        ("2G", "2G"),
        ("1000Ki", "1024k"),
        ("0Mi", "0"),
        ("1.0001k", "1k"),
        # With its seven zeros it would be too long to be read again.
        ("9" * 28 + ".5Mi", "9" * 28 + ".5Mi"),
    ],
)
def test_a_size_has_one_spelling(written: str, kept: str) -> None:
    assert Quantity(written) == kept


@pytest.mark.parametrize(
    "limits",
    [
        {"timeouts": {"call": "0s"}},
        {"timeouts": {"headers": "0h0.0m"}},
        {"bodies": {"max": "0"}},
        {"headers": {"url": "0.0Mi"}},
        {"sessions": {"idle": "00ms"}},
    ],
)
def test_a_limit_that_lets_nothing_through_is_refused(limits: dict[str, dict[str, str]]) -> None:
    with pytest.raises(ValidationError, match="0 would let nothing through; write more"):
        Limits.model_validate(limits)


@pytest.mark.parametrize(
    "limits",
    [{"timeouts": {"call": "0.05s"}}, {"queue": {"wait": "0s"}}, {"sessions": {"replay": "0"}}],
)
def test_a_limit_of_little_and_one_without_waiting_are_not(
    limits: dict[str, dict[str, str]],
) -> None:
    Limits.model_validate(limits)


@given(
    st.lists(st.tuples(st.integers(0, 10**6), st.sampled_from([*MILLISECONDS])), min_size=1),
)
def test_rewriting_changes_no_duration(parts: list[tuple[int, str]]) -> None:
    milliseconds = sum(number * MILLISECONDS[unit] for number, unit in parts)

    kept = Duration("".join(f"{number}{unit}" for number, unit in parts))

    assert kept.seconds == milliseconds / 1000
    assert Duration(f"{milliseconds}ms") == Duration(kept) == kept


@given(st.integers(0, 10**6), st.sampled_from([*BYTES]))
def test_rewriting_changes_no_size(number: int, suffix: str) -> None:
    size = number * BYTES[suffix]

    kept = Quantity(f"{number}{suffix}")

    assert kept.bytes == size
    assert Quantity(str(size)) == Quantity(kept) == kept
