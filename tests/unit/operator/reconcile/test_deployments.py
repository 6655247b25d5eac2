"""What the Deployment of a server says."""

from typing import Any

import pytest

from breakwater_operator.reconcile import deployments

Object = dict[str, Any]

ROLLING, RECREATE = {"type": "RollingUpdate"}, {"type": "Recreate"}
HANGS = {"replicas": 3, "updatedReplicas": 1}
DONE = {"replicas": 2, "updatedReplicas": 2}


@pytest.mark.parametrize(
    ("strategy", "counts", "observed", "asked", "is_first"),
    [
        pytest.param(ROLLING, HANGS, 7, 1, True, id="another-number-while-it-rolls"),
        pytest.param(ROLLING, HANGS, 7, 2, False, id="the-same-number"),
        pytest.param(ROLLING, HANGS, 6, 2, True, id="a-number-that-nobody-has-seen"),
        pytest.param(ROLLING, DONE, 7, 1, False, id="pods-of-one-template"),
        pytest.param(ROLLING, DONE, 6, 1, True, id="nobody-knows-of-how-many"),
        pytest.param(RECREATE, HANGS, 7, 1, False, id="one-that-recreates-already"),
    ],
)
def test_pods_are_counted_before_they_exclude_each_other(
    strategy: Object, counts: Object, observed: int, asked: int, is_first: bool
) -> None:
    live = {
        "metadata": {"generation": 7},
        "spec": {"replicas": 2, "strategy": strategy},
        "status": {"observedGeneration": observed, **counts},
    }

    assert deployments.is_counted_first(live, asked) is is_first
