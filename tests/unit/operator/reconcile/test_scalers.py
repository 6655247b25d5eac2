from typing import Any

import pytest

from breakwater_operator.api.models import McpServer
from breakwater_operator.api.reasons import Reason
from breakwater_operator.kube.kinds import AUTOSCALER, Kind
from breakwater_operator.reconcile.scalers import ASKED_AGAIN_SECONDS, Scalers

Object = dict[str, Any]

DEPLOYMENT = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web-a"}


class Api:
    """Has autoscalers, and counts how often it was asked for them."""

    def __init__(self, *targets: Object) -> None:
        self.autoscalers = [
            {"metadata": {"name": f"own{turn}"}, "spec": {"scaleTargetRef": target}}
            for turn, target in enumerate(targets)
        ]
        self.asked = 0

    async def list(self, kind: Kind, namespace: str) -> tuple[list[Object], str]:
        assert (kind, namespace) == (AUTOSCALER, "shop")
        self.asked += 1
        return self.autoscalers, "1"


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def owner(observed: int = 1, reason: str = "Ready", **spec: Any) -> Object:
    return {
        "metadata": {"namespace": "shop", "name": "web", "uid": "u", "generation": 1},
        "spec": {"backends": [{"name": "main", "python": {"server": "a:b"}}], **spec},
        "status": {
            "observedGeneration": observed,
            "conditions": [{"type": "Degraded", "status": "True", "reason": reason}],
        },
    }


def deployment(replicas: int) -> Object:
    return {"metadata": {"name": "web-a"}, "spec": {"replicas": replicas}}


async def reasons(scalers: Scalers, live: Object, found: Object | None) -> list[str]:
    return [one.reason for one in await scalers.look(McpServer.parse(live), live, found)]


def made(api: Api, clock: Clock | None = None) -> Scalers:
    return Scalers(api, clock or Clock())  # type: ignore[arg-type]  # the one verb it uses


@pytest.mark.parametrize(
    ("targets", "live", "found", "said"),
    [
        pytest.param([DEPLOYMENT], owner(), deployment(4), True, id="it-scaled"),
        pytest.param([DEPLOYMENT], owner(), deployment(2), False, id="the-number-is-ours"),
        pytest.param([], owner(), deployment(4), False, id="somebody-scaled-by-hand"),
        pytest.param(
            [DEPLOYMENT | {"name": "shop-a"}], owner(), deployment(4), False, id="of-another"
        ),
        pytest.param([DEPLOYMENT], owner(observed=0), deployment(4), False, id="a-new-manifest"),
        pytest.param([DEPLOYMENT], owner(replicas=0), deployment(4), False, id="none-wanted"),
        pytest.param([DEPLOYMENT], owner(suspend=True), deployment(4), False, id="suspended"),
        pytest.param(
            [DEPLOYMENT], owner(autoscaling={"max": 9}), deployment(4), False, id="by-our-own"
        ),
        pytest.param([DEPLOYMENT], owner(), None, False, id="no-deployment"),
        pytest.param(
            [DEPLOYMENT],
            owner(observed=0, reason="ReplicasContested"),
            deployment(2),
            True,
            id="an-operator-before-said-so",
        ),
    ],
)
async def test_an_autoscaler_of_others_decides_once_it_has_scaled_the_deployment(
    targets: list[Object], live: Object, found: Object | None, said: bool
) -> None:
    found_now = await reasons(made(Api(*targets)), live, found)

    assert found_now == ([Reason.REPLICAS_CONTESTED] if said else [])


async def test_it_is_asked_for_now_and_then_until_it_is_gone() -> None:
    api, clock = Api(DEPLOYMENT), Clock()
    scalers = made(api, clock)
    await reasons(scalers, owner(), deployment(4))
    assert await reasons(scalers, owner(), deployment(5)) == [Reason.REPLICAS_CONTESTED]
    assert api.asked == 1

    api.autoscalers.clear()
    clock.now += ASKED_AGAIN_SECONDS

    assert await reasons(scalers, owner(), deployment(5)) == []
    assert api.asked == 2
