"""What the attacks reach."""

from breakwater_runtime import app
from tests.support.rig.doors import DOORS


def test_every_endpoint_is_among_those_that_are_attacked() -> None:
    assert set(app.PATHS) == DOORS.keys(), "put the new path into tests/support/rig/doors.py"
