"""A child that cannot be written is told of by what stood in the way."""

from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import pytest

from breakwater_operator.kube.errors import ApiError
from breakwater_operator.kube.kinds import CONFIG_MAP
from breakwater_operator.reconcile.plan import Child
from breakwater_operator.reconcile.write import Writer
from tests.unit.operator.reconcile.test_plan import DESIRED, UID

CONFLICT = ApiError("the object has been modified", status=409)
GONE = ApiError("not found", status=404)
BARRED = ApiError("forbidden", status=403)


async def nobody_asks() -> None:
    """Whoever makes a child makes sure of its server."""


@pytest.mark.parametrize(
    ("read", "told"),
    [
        pytest.param(GONE, CONFLICT, id="gone-by-now"),
        pytest.param(BARRED, BARRED, id="not-readable"),
    ],
)
async def test_a_conflict_with_what_is_gone_by_now_is_tried_again(
    read: ApiError, told: ApiError
) -> None:
    async def fail(error: ApiError) -> Any:
        raise error

    api: Any = SimpleNamespace(
        create_applied=lambda *_, **__: fail(CONFLICT), get=lambda *_, **__: fail(read)
    )
    cache: Any = SimpleNamespace(writing=lambda *_: nullcontext())
    world: Any = SimpleNamespace(children={CONFIG_MAP: cache})

    written = await Writer(api, world).write(UID, [Child(CONFIG_MAP, DESIRED, None)], nobody_asks)

    assert written.failure is told
