"""How many connections there can be."""

import resource

import pytest

from breakwater_contract.limits import Limits
from breakwater_runtime.http.limits import FILES_KEPT, WireLimits, raise_file_limit

UNLIMITED = resource.RLIM_INFINITY


@pytest.mark.requirement("K2")
@pytest.mark.parametrize(
    ("files", "connections"),
    [(UNLIMITED, 10_000), (1_000_000, 10_000), (1024, 1024 - FILES_KEPT), (100, 1)],
)
def test_there_are_no_more_connections_than_files(
    monkeypatch: pytest.MonkeyPatch, files: int, connections: int
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (files, files))

    assert WireLimits.of(Limits(connections=10_000)).connections == connections


def test_a_process_opens_as_many_files_as_it_may(monkeypatch: pytest.MonkeyPatch) -> None:
    raised: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1024, 524_288))
    monkeypatch.setattr(resource, "setrlimit", lambda _, limits: raised.append(limits))

    raise_file_limit()

    assert raised == [(524_288, 524_288)]
