"""Until when a server is left as it is."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from breakwater_operator.api.errors import SpecError
from breakwater_operator.api.pause import ANNOTATION, paused_until

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)


def annotated(text: str) -> dict[str, Any]:
    return {"metadata": {"name": "web", "annotations": {ANNOTATION: text}}}


@pytest.mark.parametrize(
    ("text", "until"),
    [
        pytest.param("2026-01-31T12:00:01Z", NOW + timedelta(seconds=1), id="in-a-second"),
        pytest.param("2026-01-31t14:00:00z", NOW + timedelta(hours=2), id="small-letters"),
        pytest.param("2026-01-31 14:00:00.5Z", NOW + timedelta(hours=2, seconds=0.5), id="half"),
        pytest.param(
            "2026-01-31T14:00:00+01:00",
            datetime(2026, 1, 31, 14, tzinfo=timezone(timedelta(hours=1))),
            id="another-zone",
        ),
        pytest.param("2026-01-31T12:00:00Z", None, id="now"),
        pytest.param("2026-01-31T12:30:00+01:00", None, id="over-in-another-zone"),
        pytest.param("1970-01-01T00:00:00Z", None, id="long-over"),
    ],
)
def test_a_pause_ends_at_its_time(text: str, until: datetime | None) -> None:
    assert paused_until(annotated(text), NOW) == until


@pytest.mark.parametrize("metadata", [{}, {"annotations": None}, {"annotations": {"other": "x"}}])
def test_without_the_annotation_nothing_is_paused(metadata: dict[str, Any]) -> None:
    assert paused_until({"metadata": metadata}, NOW) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "true",
        "tomorrow",
        "2026-02-01",
        "2026-02-01T08:00:00",
        "2026-02-30T08:00:00Z",
        "2026-02-01T08:00Z",
        "20260201T080000Z",
        "2026-02-01T08:00:00Z\n",
        "\uff12\uff10\uff12\uff16-02-01T08:00:00Z",
        "0001-01-01T00:00:00+23:59",
        "x" * 10_000,
    ],
)
def test_what_is_no_time_is_a_fault_that_says_what_to_write(text: str) -> None:
    with pytest.raises(SpecError) as refused:
        paused_until(annotated(text), NOW)

    message = str(refused.value)
    assert message.startswith("metadata.annotations[breakwater.dev/paused-until]: ")
    assert "write one as in 2026-01-31T08:00:00Z, or remove the annotation" in message
    assert len(message) < 500
