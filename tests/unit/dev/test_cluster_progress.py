import io

import pytest

from dev.cluster.progress import Progress, elapsed


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(
    ("seconds", "said"), [(0.04, "0.0s"), (59.94, "59.9s"), (63, "1m03s"), (3600, "60m00s")]
)
def test_durations_read_as_people_say_them(seconds: float, said: str) -> None:
    assert elapsed(seconds) == said


def test_steps_are_numbered_and_timed() -> None:
    clock, stream = Clock(), io.StringIO()
    progress = Progress(2, stream=stream, clock=clock)

    for what in ("one", "two"):
        with progress.step(what):
            clock.now += 63

    assert stream.getvalue().splitlines() == [
        "[1/2] one ...",
        "[1/2] one: done in 1m03s",
        "[2/2] two ...",
        "[2/2] two: done in 1m03s",
    ]


def test_a_long_step_shows_that_it_lives() -> None:
    stream = io.StringIO()
    progress = Progress(1, stream=stream, heartbeat=0.001)

    with progress.step("long"):
        while "elapsed" not in stream.getvalue():
            pass

    assert "[1/1] long ... 0.0s elapsed\n" in stream.getvalue()


def test_a_step_that_fails_is_not_called_done() -> None:
    stream = io.StringIO()

    with pytest.raises(ValueError, match="no"), Progress(1, stream=stream).step("bad"):
        raise ValueError("no")

    assert "[1/1] bad: not finished after" in stream.getvalue()
    assert "done" not in stream.getvalue()
