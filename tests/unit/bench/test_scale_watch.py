import asyncio
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING, Any, cast

import pytest

from bench.processes import ProcessError
from bench.scale_ground import NAMESPACE
from bench.scale_watch import Watched
from breakwater_operator.kube.kinds import CONFIG_MAP

if TYPE_CHECKING:
    from breakwater_operator.kube.api import KubeApi

SETTINGS = (NAMESPACE, "s0-live")


def settings(version: int, said: str) -> dict[str, Any]:
    namespace, name = SETTINGS
    named = {"namespace": namespace, "name": name, "uid": "1"}
    return {"metadata": {**named, "resourceVersion": str(version)}, "said": said}


class Api:
    """Lists one ConfigMap, and tells of each new state that it is given."""

    def __init__(self) -> None:
        self.states: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    async def chunks(self, *_: Any, **__: Any) -> AsyncGenerator[Any, None]:
        yield [settings(1, "old")], "1"

    async def watch(self, *_: Any, **__: Any) -> AsyncGenerator[Any, None]:
        while True:
            yield {"type": "MODIFIED", "object": await self.states.get()}


async def test_who_waits_is_told_once_the_watch_tells_of_it() -> None:
    api = Api()
    async with Watched(cast("KubeApi", api), CONFIG_MAP, dict).following() as watched:
        api.states.put_nowait(settings(2, "newer"))
        api.states.put_nowait(settings(3, "newest"))

        await watched.until([SETTINGS], lambda _, live: live["said"] == "newest", 60.0, "newest")


async def test_what_is_so_already_is_not_waited_for() -> None:
    async with Watched(cast("KubeApi", Api()), CONFIG_MAP, dict).following() as watched:
        await watched.until([SETTINGS], lambda _, live: live["said"] == "old", 60.0, "old")


async def test_who_waited_long_enough_is_told_of_how_many_it_holds() -> None:
    async with Watched(cast("KubeApi", Api()), CONFIG_MAP, dict).following() as watched:
        with pytest.raises(ProcessError, match="are new: 0 of 1 within 0 s"):
            await watched.until([SETTINGS], lambda _, live: live["said"] == "new", 0.01, "are new")
