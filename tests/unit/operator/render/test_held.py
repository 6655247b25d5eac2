"""What goes on running while claims are not as a manifest needs them."""

from typing import Any

import pytest

from breakwater_operator.api.errors import SpecError
from breakwater_operator.api.models import McpServer
from breakwater_operator.api.platform import Platform
from breakwater_operator.render import held, revision
from breakwater_operator.render.claims import Claim
from breakwater_operator.render.revision import Revision

PLATFORM = Platform.parse({"namespace": "ops", "images": {"runtime": "registry.example/r:1"}})
ALONE, SHARED = Claim(("ReadWriteOnce",)), Claim(("ReadWriteMany",))


def server(*claims: str, **spec: Any) -> McpServer:
    """A server with three pods that mount some claims."""
    volumes = [{"name": one, "persistentVolumeClaim": {"claimName": one}} for one in claims]
    metadata = {"name": "web", "namespace": "team-a", "uid": "u"}
    backends = [{"python": {"server": "a:b"}}]
    said = {"replicas": 3, "backends": backends, "pod": {"volumes": volumes}} | spec
    return McpServer.parse({"metadata": metadata, "spec": said})


def rendered(*claims: str) -> Revision:
    return revision.current(server(*claims), PLATFORM, ())


@pytest.mark.parametrize(
    ("before", "after", "exist", "is_kept"),
    [
        pytest.param((), ("a",), "", True, id="added-and-missing"),
        pytest.param((), ("a",), "a", False, id="added"),
        pytest.param(("a",), ("typo",), "", True, id="replaced-by-a-missing-one"),
        pytest.param(("a",), ("a", "b"), "a", True, id="one-of-two-missing"),
        pytest.param(("a",), ("a", "b"), "b", False, id="missing-to-both"),
        pytest.param(("a",), (), "", False, id="taken-away"),
    ],
)
def test_pods_stay_while_a_claim_is_missing_that_they_do_not_mount(
    before: tuple[str, ...], after: tuple[str, ...], exist: str, is_kept: bool
) -> None:
    running, wanted = rendered(*before), rendered(*after)

    chosen = held.kept(wanted, dict.fromkeys(exist, SHARED), running)

    assert chosen is (running if is_kept else wanted)


def test_a_new_server_waits_for_its_claim_with_pods_of_its_own() -> None:
    wanted = rendered("a")

    assert held.kept(wanted, {}, None) is wanted


@pytest.mark.parametrize("scaling", [{}, {"autoscaling": {"max": 5}}])
def test_pods_that_mount_a_claim_already_are_as_many_as_can(scaling: dict[str, Any]) -> None:
    asked = server("a", **scaling)

    possible = held.possible(asked, {"a": ALONE}, rendered("a"))

    assert (possible.wanted_replicas, possible.is_autoscaled) == (1, False)


@pytest.mark.parametrize(
    "running",
    [
        pytest.param(None, id="none-yet"),
        pytest.param(rendered(), id="without-it"),
        pytest.param(rendered("b"), id="with-another"),
    ],
)
def test_a_claim_that_comes_with_a_refused_manifest_changes_nothing(
    running: Revision | None,
) -> None:
    with pytest.raises(SpecError, match="3 pods cannot share PersistentVolumeClaim team-a/a"):
        held.possible(server("a", "b"), {"a": ALONE, "b": ALONE}, running)


def test_a_claim_that_pods_can_share_takes_nothing_away() -> None:
    asked = server("a")

    assert held.possible(asked, {"a": SHARED}, rendered()) is asked
