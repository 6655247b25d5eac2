"""Amounts in the API server's own spelling."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from breakwater_operator.api.quantity import BINARY_SUFFIXES, DECIMAL_SUFFIXES, amount, canonical


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("1", "1"),
        ("0", "0"),
        ("0Mi", "0"),
        ("1000m", "1"),
        ("1500m", "1500m"),
        ("0.5", "500m"),
        ("1.50", "1500m"),
        ("1000", "1k"),
        ("2000k", "2M"),
        ("1024Mi", "1Gi"),
        ("1.5Gi", "1536Mi"),
        ("0.5Ki", "512"),
        ("1024", "1024"),
        ("128974848", "128974848"),
    ],
)
def test_an_amount_has_one_spelling(written: str, kept: str) -> None:
    assert canonical(written) == kept


@given(st.integers(0, 999_999), st.sampled_from([*DECIMAL_SUFFIXES, *BINARY_SUFFIXES]))
def test_rewriting_changes_no_amount_and_happens_once(number: int, suffix: str) -> None:
    written = f"{number}{suffix}"

    kept = canonical(written)

    assert amount(kept) == amount(written)
    assert canonical(kept) == kept
