"""Events out of streams of bytes, however these are cut."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from breakwater_runtime.backends.codec.http.events import Events
from breakwater_runtime.backends.codec.lines import LineTooLongError

STREAM = (
    b": heartbeat\n\n"
    b"id: 1\nretry: 20\ndata:\n\n"
    b"event: message\nid: 2\ndata: {}\n\n"
    b"data: one\r\ndata: two\r\n\r\n"
    b"data:3\n\n"
    b"data: never ended"
)


@given(st.lists(st.integers(0, len(STREAM)), max_size=20))
def test_events_are_the_same_however_the_bytes_arrive(cuts: list[int]) -> None:
    events = Events(100)
    parts = [STREAM[start:end] for start, end in pairwise((0, *sorted(cuts), len(STREAM)))]

    heard = [event for part in parts for event in events.feed(part)]

    assert heard == [b"{}", b"one\ntwo", b"3"]
    assert (events.last_id, events.retry_seconds) == (b"2", 0.02)


@pytest.mark.parametrize("part", [b"x" * 60, b"data: " + b"x" * 40 + b"\n"])
def test_an_event_that_does_not_end_is_refused(part: bytes) -> None:
    events = Events(100)

    with pytest.raises(LineTooLongError):
        _feed(events, part, 3)


def _feed(events: Events, part: bytes, times: int) -> None:
    for _ in range(times):
        list(events.feed(part))


def test_a_server_cannot_have_its_stream_taken_up_years_later() -> None:
    events = Events(100)

    list(events.feed(b"retry: 99999999999999999999\n"))

    assert events.retry_seconds == 30
