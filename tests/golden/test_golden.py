"""What is generated is what is committed."""

from dev.generate import ROOT, drift


def test_nothing_that_is_generated_has_drifted() -> None:
    assert drift(ROOT) == ""
