"""What running pods take over: access and limits, on a real API server."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from breakwater_operator.kube.kinds import CONFIG_MAP, CONTROLLER_REVISION, MCP_SERVER, SECRET
from tests.support.cluster import RunningCluster, eventually
from tests.support.operator import decoded
from tests.support.operator_ground import QUOTA, Ground, now, own_ground

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def op(control_plane: RunningCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    with own_ground(control_plane, tmp_path_factory, "live") as made:
        yield made


def live(op: Ground, name: str) -> Any:
    return json.loads(op.find(CONFIG_MAP, f"{name}-live")["data"]["v1.json"])


def keys(op: Ground, secret: str) -> dict[str, bytes]:
    """The keys of a Secret; none where there is no Secret."""
    found = op.get(SECRET, secret)
    content = decoded(found) if found is not None else {}
    return {name: key for name, key in content.items() if not name.startswith(".")}


def misspell(op: Ground, name: str) -> dict[str, bytes]:
    """Have a server with a generated key name a Secret that is not there; return its key."""
    op.ready(name)
    generated = keys(op, f"{name}-keys")
    op.patch(MCP_SERVER, name, {"spec": {"access": {"keys": {"secretName": f"{name}-clints"}}}})
    found = op.wait(name, "Progressing", "True", "KeySecretMissing")
    assert f"the generated key of Secret {name}-keys stays valid" in found["message"]
    op.quiet()
    assert keys(op, f"{name}-keys") == keys(op, f"{name}-live") == generated
    return generated


@pytest.mark.requirement("A10", "G2", "T4")
def test_changed_access_and_limits_reach_the_live_settings_and_restart_nothing(op: Ground) -> None:
    before = op.ready("shop")["status"]["revision"]
    policy = {"name": "readers", "effect": "Allow", "principals": ["*"], "tools": ["get_*"]}

    after = op.ready(
        "shop",
        access={"policies": [policy], "permissive": {"until": "2027-01-31"}},
        limits={"requestsPerMinute": {"principal": 60, "tools": {"search": 5}}},
    )

    settings = live(op, "shop")
    assert settings["access"] == {"policies": [policy], "permissive": {"until": "2027-01-31"}}
    assert settings["limits"]["requestsPerMinute"] == {"principal": 60, "tools": {"search": 5}}
    assert after["status"]["revision"] == before


def test_that_nobody_is_let_in_any_more_is_said_when_the_date_has_come(op: Ground) -> None:
    op.ready("open")
    end = now() + timedelta(seconds=15)
    op.ready("open", access={"permissive": {"until": f"{end:%Y-%m-%dT%H:%M:%SZ}"}})
    op.quiet()
    before = len(op.proxy.seen)

    eventually(
        lambda: "permissive ended" in op.condition("open", "Accepted")["message"],
        "the hint",
        seconds=60,
    )

    assert now() >= end.replace(microsecond=0)
    op.quiet(2.0)
    writes = [(seen.name, seen.part) for seen in op.proxy.writes(before) if "open" in seen.name]
    assert set(writes) <= {("open", "status")}
    assert len(writes) <= 1


def test_service_accounts_are_let_in_by_the_keys_that_the_cluster_publishes(op: Ground) -> None:
    op.ready("mesh", access={"serviceAccounts": {"audience": "mesh"}})

    told = live(op, "mesh")["access"]["serviceAccounts"]
    metadata = op.api.get("/.well-known/openid-configuration")
    assert told["audience"] == "mesh"
    assert told["issuer"] == metadata["issuer"]
    assert json.loads(told["jwks"])["keys"] == json.loads(op.api.get("/openid/v1/jwks"))["keys"]


def test_the_clusters_own_issuer_under_jwt_is_refused_beside_service_accounts(op: Ground) -> None:
    issuer = op.api.get("/.well-known/openid-configuration")["issuer"]

    op.apply(
        "twice",
        access={
            "serviceAccounts": {"audience": "a"},
            "jwt": {"issuer": issuer, "audiences": ["a"]},
        },
    )

    found = op.wait("twice", "Accepted", "False", "SpecInvalid")
    assert "remove jwt and write serviceAccounts" in found["message"]


def test_a_wrong_issuer_heals_when_it_is_corrected(op: Ground) -> None:
    op.apply(
        "mended",
        access={
            "serviceAccounts": {"audience": "a"},
            "jwt": {
                "issuer": op.api.get("/.well-known/openid-configuration")["issuer"],
                "audiences": ["a"],
            },
        },
    )
    op.wait("mended", "Accepted", "False")

    op.patch(MCP_SERVER, "mended", {"spec": {"access": {"jwt": None}}})

    op.wait("mended", "Ready")
    eventually(lambda: "jwt" not in live(op, "mended")["access"], "the issuer is gone")


def tools(op: Ground, name: str) -> dict[str, Any]:
    return {one["backend"]: one["deny"] for one in live(op, name).get("tools", ())}


def named(backend: str) -> list[dict[str, Any]]:
    python = {"server": "weather.main:mcp"}
    return [{"name": backend, "python": python, "tools": {"deny": ["delete_*"]}}]


@pytest.mark.requirement("G2")
def test_what_a_renamed_backend_denied_stays_denied_while_a_pod_may_have_it(op: Ground) -> None:
    before = op.ready("named", backends=named("one"))["status"]["revision"]
    op.quiet()
    # Pods of the new revision do not come: the quota of the namespace leaves them no room.
    op.limit("pods", "1", "full")

    op.apply("named", backends=named("uno"))
    both = {"one": ["delete_*"], "uno": ["delete_*"]}
    eventually(lambda: tools(op, "named") == both, "both names are told")
    op.wait("named", "Progressing", "True")
    op.quiet(2)
    op.patch(CONFIG_MAP, "named-live", {"data": {"v1.json": "{}"}})
    eventually(lambda: tools(op, "named") == both, "the entries are repaired")
    op.operator.stop()
    op.operator.start()
    op.operator.wait_ready()
    op.quiet(2)
    assert tools(op, "named") == both

    op.delete(QUOTA, "full")
    op.wait("named", "Progressing", "False", seconds=120)
    gone = (CONTROLLER_REVISION, f"named-{before}")
    eventually(lambda: op.get(*gone) is None, "the old revision is gone", seconds=60)
    eventually(lambda: "one" not in tools(op, "named"), "the old name is gone", seconds=60)
    assert tools(op, "named") == {"uno": ["delete_*"]}
    op.wait("named", "Ready")
    op.wait("named", "Progressing", "False")
    op.quiet()
    seen = len(op.proxy.seen)
    op.patch(MCP_SERVER, "named", {"metadata": {"annotations": {"wake": "up"}}})
    op.quiet()
    assert op.proxy.asked(seen) == []


@pytest.mark.requirement("G2")
def test_what_a_renamed_backend_denied_stays_denied_while_pods_wait_for_a_claim(op: Ground) -> None:
    op.ready("waits", backends=named("one"))
    volume = {"name": "data", "persistentVolumeClaim": {"claimName": "nobody-made-it"}}

    op.apply("waits", backends=named("uno"), pod={"volumes": [volume]})

    op.wait("waits", "Progressing", "True", "ClaimMissing")
    op.quiet(2)
    assert tools(op, "waits") == {"one": ["delete_*"], "uno": ["delete_*"]}
    op.apply("waits", backends=named("uno"))
    op.wait("waits", "Ready")
    eventually(lambda: tools(op, "waits") == {"uno": ["delete_*"]}, "the old name is gone")


def test_a_misspelt_key_secret_costs_nobody_the_generated_key(op: Ground) -> None:
    generated = misspell(op, "slip")

    op.patch(MCP_SERVER, "slip", {"spec": {"access": None}})

    op.wait("slip", "Ready")
    op.quiet()
    assert keys(op, "slip-keys") == keys(op, "slip-live") == generated


def test_a_generated_key_ends_when_the_secret_that_replaces_it_comes(op: Ground) -> None:
    misspell(op, "slow")

    op.create(SECRET, "slow-clints", stringData={"alice": "one"})

    op.wait("slow", "Ready")
    eventually(lambda: op.get(SECRET, "slow-keys") is None, "it is pruned")
    assert keys(op, "slow-live") == {"alice": b"one"}
    op.delete(SECRET, "slow-clints")
    op.wait("slow", "Progressing", "True", "KeySecretMissing")
    op.quiet()
    assert op.get(SECRET, "slow-keys") is None


def test_a_generated_key_that_is_deleted_is_withdrawn_also_while_it_stands_in(op: Ground) -> None:
    misspell(op, "leak")

    op.delete(SECRET, "leak-keys")

    eventually(lambda: keys(op, "leak-live") == {}, "it is withdrawn")
    op.quiet()
    assert op.get(SECRET, "leak-keys") is None
