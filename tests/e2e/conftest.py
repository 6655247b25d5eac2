"""Servers that several test modules call: started once, since a runtime takes 5 s to drain."""

from collections.abc import Iterator

import pytest

from tests.support.conformance import fronts


@pytest.fixture(scope="session")
def fixture_runtime(tmp_path_factory: pytest.TempPathFactory) -> Iterator[fronts.Front]:
    """The runtime as a process of its own, which serves the conformance fixture and wants a key."""
    with fronts.runtime(tmp_path_factory.mktemp("runtime")) as front:
        yield front
