"""Children that are started ahead: who takes them, and how many there are."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from breakwater_contract.backends import ContainerBackend as Settings
from breakwater_contract.names import OPERATOR_PRINCIPAL
from breakwater_runtime.backends.container import ContainerBackend
from tests.support import children
from tests.support.children import Helper
from tests.unit.runtime import containers
from tests.unit.runtime.containers import eventually, text, tool

process = pytest.mark.process


@pytest.fixture
def lean(tmp_path: Path) -> Iterator[Helper]:
    with children.helper(tmp_path, containers.LEAN) as helper:
        yield helper


def commands(helper: Helper) -> set[int]:
    """Name the commands: each has a keeper, which is a child of the helper."""
    keepers = children.children_of(helper.process.pid)
    return {pid for keeper in keepers for pid in children.children_of(keeper)}


def spares(backend: ContainerBackend) -> int:
    """Count those that wait."""
    return backend.pools["spares"].open


@process
@pytest.mark.requirement("A5")
@pytest.mark.parametrize("isolation", ["PerPrincipal", "PerSession"])
async def test_somebody_new_takes_a_child_that_is_there_and_another_one_is_started(
    lean: Helper, isolation: str
) -> None:
    settings = {"isolation": isolation, "instances": {"spares": 1}}
    async with containers.backend(lean, **settings) as backend:
        taken: set[int] = set()
        for number in range(3):
            await eventually(lambda: spares(backend) == 1)
            before = commands(lean)
            asked = tool("pid", by=f"p{number}")
            if isolation == "PerSession":
                asked.peer = backend.connect(f"s{number}", containers.Notes())
            taken.add(int(await text(backend, asked)))

            assert taken <= before

        assert len(taken) == 3


@process
async def test_one_that_ended_is_given_to_nobody_and_replaced(lean: Helper) -> None:
    async with containers.backend(lean, instances={"spares": 1}) as backend:
        nobodys = int(await text(backend, tool("pid", by=OPERATOR_PRINCIPAL)))
        await eventually(lambda: spares(backend) == 1)
        (spare,) = commands(lean) - {nobodys}
        os.kill(spare, signal.SIGKILL)

        assert int(await containers.insisted(backend, lambda: tool("pid"))) != spare
        await eventually(lambda: spares(backend) == 1)


@process
async def test_they_count_as_instances_and_give_way(lean: Helper) -> None:
    async with containers.backend(lean, instances={"max": 3, "spares": 1}) as backend:
        for number in range(6):
            await text(backend, tool("echo", by=f"p{number}"))
            use = backend.pools["instances"]

            assert use.open <= use.limit == 3
        # The one of nobody and those of two principals: there is no room for a spare.
        assert (spares(backend), len(backend.pools)) == (0, 2)

    await eventually(lambda: not lean.descendants())


@process
async def test_none_are_started_where_the_server_is_not_well(tmp_path: Path) -> None:
    with children.helper(tmp_path, [*containers.LEAN, "exits"]) as helper:
        async with containers.starting(helper, instances={"spares": 5}) as backend:
            await eventually(lambda: "no database" in (backend.fault or ""))

            assert backend.pools["instances"].open <= 1


@pytest.mark.parametrize(
    "told",
    [
        pytest.param({"stdio": {"socket": "s"}, "isolation": "Shared"}, id="shared"),
        pytest.param({"http": {"port": 8000}}, id="http"),
    ],
)
def test_spares_that_nobody_could_take_are_refused(told: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="leave it out with isolation Shared"):
        Settings.model_validate({**told, "instances": {"spares": 1}})
