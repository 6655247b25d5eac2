"""Workloads of the cluster: tokens of service accounts, verified by a mounted key set."""

import json
from pathlib import Path
from typing import Any

import httpx2
import pytest

from breakwater_contract.access import Access, Jwt, ServiceAccounts
from breakwater_contract.names import CLUSTER_ISSUER
from breakwater_runtime.app import Process
from tests.support.oauth import OAuthServer
from tests.unit.runtime.fakes import FakeBackend, FakeClock

BOT = "system:serviceaccount:team-a:bot"
MCP = {"content-type": "application/json", "accept": "application/json, text/event-stream"}
MESSAGE = {"jsonrpc": "2.0", "id": 7, "method": "tools/list"}


@pytest.fixture
def cluster(clock: FakeClock) -> OAuthServer:
    return OAuthServer(CLUSTER_ISSUER, "crm", clock=lambda: clock.now().timestamp())


def publish(file: Path, keys: dict[str, Any]) -> None:
    file.write_text(json.dumps(keys))


@pytest.fixture
def jwks_file(cluster: OAuthServer, tmp_path: Path) -> Path:
    file = tmp_path / "cluster-jwks.json"
    publish(file, cluster.jwks())
    return file


@pytest.fixture
def access(jwks_file: Path) -> Access:
    return Access(service_accounts=ServiceAccounts(audience="crm", jwks_file=jwks_file.name))


def token(cluster: OAuthServer, **claims: object) -> str:
    wanted = {"sub": BOT, "aud": ["crm"], "kubernetes.io": {"namespace": "team-a"}, **claims}
    return cluster.token("rsa", header={"typ": None}, **wanted)


async def ask(public: httpx2.AsyncClient, token: str) -> int:
    headers = {**MCP, "authorization": f"Bearer {token}"}
    return (await public.post("/mcp", json=MESSAGE, headers=headers)).status_code


@pytest.mark.requirement("K9")
async def test_a_workload_is_let_in_by_its_own_token(
    public: httpx2.AsyncClient, backend: FakeBackend, cluster: OAuthServer
) -> None:
    assert await ask(public, token(cluster)) == 200

    (call,) = backend.bodies
    assert call.principal.name == BOT
    assert call.principal.scopes == frozenset()


@pytest.mark.requirement("K9", "T23")
@pytest.mark.parametrize(
    "claims",
    [
        pytest.param({"aud": ["https://kubernetes.default.svc"]}, id="for-the-api-server"),
        pytest.param({"sub": "system:node:a"}, id="no-service-account"),
        pytest.param({"sub": "system:serviceaccount:team-a"}, id="no-name"),
        pytest.param({"sub": f"{BOT}\n"}, id="line-break"),
        pytest.param({"iss": "https://another-cluster"}, id="another-cluster"),
        pytest.param({"exp": 1}, id="expired"),
    ],
)
async def test_any_other_token_of_the_cluster_is_refused(
    public: httpx2.AsyncClient,
    backend: FakeBackend,
    cluster: OAuthServer,
    claims: dict[str, object],
) -> None:
    assert await ask(public, token(cluster, **claims)) == 401
    assert backend.bodies == []


async def test_new_keys_of_the_cluster_are_taken_over_and_bad_ones_are_not(
    public: httpx2.AsyncClient, process: Process, cluster: OAuthServer, jwks_file: Path
) -> None:
    del cluster.keys["ec"]
    presented = token(cluster)
    before = await ask(public, presented)

    publish(jwks_file, {})
    process.live.load()
    bad = await ask(public, presented)
    fault = process.live.fault
    cluster.keys["rsa"] = ("RS256", OAuthServer(keys={}).keys["rsa"][1])
    publish(jwks_file, {"keys": cluster.jwks()["keys"][-1:]})
    process.live.load()
    after = await ask(public, presented)

    assert (before, bad, after) == (200, 200, 401)
    assert fault is not None
    assert fault.startswith("cluster-jwks.json: ")


def test_a_key_set_that_is_not_there_is_named(process: Process, jwks_file: Path) -> None:
    jwks_file.unlink()

    process.live.load()

    assert f"{jwks_file}: cannot be read" in str(process.live.fault)


class TestKeysInTheSettings:
    @pytest.fixture
    def access(self, cluster: OAuthServer) -> Access:
        return Access(
            service_accounts=ServiceAccounts(audience="crm", jwks=json.dumps(cluster.jwks()))
        )

    async def test_they_are_as_good_as_those_in_a_file(
        self, public: httpx2.AsyncClient, cluster: OAuthServer
    ) -> None:
        assert await ask(public, token(cluster)) == 200
        assert await ask(public, token(cluster, aud=["other"])) == 401


def test_keys_are_written_in_one_place() -> None:
    with pytest.raises(ValueError, match="exactly one of jwks"):
        ServiceAccounts(audience="a")


def test_an_oauth_issuer_cannot_be_the_cluster_as_well() -> None:
    with pytest.raises(ValueError, match=r"are both https://id\.example"):
        Access(
            jwt=Jwt(issuer="https://id.example", audiences=("a",)),
            service_accounts=ServiceAccounts(
                audience="a", issuer="https://id.example", jwks_file="x"
            ),
        )
