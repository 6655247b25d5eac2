"""Amounts in the API server's own spelling."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from breakwater_operator.api.quantity import (
    BINARY_SUFFIXES,
    DECIMAL_SUFFIXES,
    amount,
    canonical,
    canonical_bytes,
)


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("1", "1"),
        ("0", "0"),
        ("1000m", "1"),
        ("1500m", "1500m"),
        ("0.5", "500m"),
        ("1.50", "1500m"),
        ("1000", "1k"),
        ("1024", "1024"),
    ],
)
def test_so_many_processors_have_one_spelling(written: str, kept: str) -> None:
    assert canonical(written) == kept


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("0Mi", "0"),
        ("2000k", "2M"),
        ("2G", "2G"),
        ("1024Mi", "1Gi"),
        ("1.5Gi", "1536Mi"),
        ("0.5Ki", "512"),
        ("1024", "1Ki"),
        ("1000Ki", "1024k"),
        ("134217728", "128Mi"),
        ("0.001k", "1"),
        ("1.001Ki", "1025024m"),
    ],
)
def test_so_many_bytes_have_one_spelling(written: str, kept: str) -> None:
    assert canonical_bytes(written) == kept


@pytest.mark.parametrize("spelled", [canonical, canonical_bytes])
@given(
    number=st.integers(0, 999_999), suffix=st.sampled_from([*DECIMAL_SUFFIXES, *BINARY_SUFFIXES])
)
def test_rewriting_changes_no_amount_and_happens_once(
    spelled: Callable[[str], str], number: int, suffix: str
) -> None:
    written = f"{number}{suffix}"

    kept = spelled(written)

    assert amount(kept) == amount(written)
    assert spelled(kept) == kept
