import json
import re
from collections.abc import Callable

import httpx2
import jwt
import pytest
from prometheus_client.parser import text_string_to_metric_families

from breakwater_contract.backends import Reason
from breakwater_runtime.app import Process
from breakwater_runtime.backends.backend import Finding
from tests.unit.runtime.fakes import ADMIN, ALICE, EXPIRED, UID, FakeBackend, Operator

MOVES = re.compile("process_|mcp_telemetry_cpu_seconds")
"""What is never the same twice."""

MCP = {"content-type": "application/json", "accept": "application/json, text/event-stream"}


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


def message(method: str) -> dict[str, object]:
    return {"jsonrpc": "2.0", "id": 7, "method": method}


@pytest.mark.requirement("T7", "G6")
@pytest.mark.parametrize("path", ["/ready", "/health/ready", "/health"])
async def test_a_backend_that_fails_makes_the_pod_unready(
    management: httpx2.AsyncClient, backend: FakeBackend, path: str
) -> None:
    before = await management.get(path)
    backend.fault = "its database is away"
    after = await management.get(path)

    assert (before.status_code, after.status_code) == (200, 503)
    assert "database" not in after.text


async def test_a_draining_pod_is_live_but_not_ready(
    management: httpx2.AsyncClient, process: Process
) -> None:
    process.drain.begin()

    assert (await management.get("/ready")).status_code == 503
    assert (await management.get("/health/live")).status_code == 200


@pytest.mark.requirement("W7")
async def test_health_names_version_and_checks_but_no_details(
    management: httpx2.AsyncClient,
) -> None:
    response = await management.get("/health")

    body = response.json()
    assert (body["status"], body["version"]) == ("ok", "1.2.3")
    assert {"name": "keys", "status": "ok"} in body["checks"]
    assert set(body) == {"status", "version", "checks"}


async def test_health_tells_the_operator_what_is_loaded(
    management: httpx2.AsyncClient, backend: FakeBackend, operator: Operator
) -> None:
    backend.fault = "its database is away"
    backend.findings = [Finding(Reason.UNREACHABLE, "nobody answers at port 5432")]

    response = await management.get("/health", headers=bearer(operator.token()))

    body = response.json()
    assert body["revision"] == "abc"
    assert body["loaded"] == {"live": ""}
    assert body["settings"] == body["sharedRates"] == {"fault": None}
    assert body["sessions"] == 0
    assert len(body["operatorKeys"]) == 1
    assert body["backends"] == [
        {
            "name": "main",
            "state": "failed",
            "message": "its database is away",
            "findings": [
                {"reason": "BackendUnreachable", "message": "nobody answers at port 5432"}
            ],
        }
    ]


@pytest.mark.requirement("A11")
@pytest.mark.parametrize("headers", [{"x-api-key": ADMIN}, bearer(ADMIN)], ids=["key", "bearer"])
async def test_health_tells_the_holder_of_an_admin_key_what_is_loaded(
    management: httpx2.AsyncClient, backend: FakeBackend, headers: dict[str, str]
) -> None:
    backend.fault = "its database is away"

    body = (await management.get("/health", headers=headers)).json()

    assert {"name": "backend main", "status": "degraded", "message": backend.fault} in body[
        "checks"
    ]
    assert body["revision"] == "abc"


@pytest.mark.requirement("A11")
@pytest.mark.parametrize("key", [ALICE, EXPIRED, "", "guess"])
async def test_no_other_key_shows_the_details(management: httpx2.AsyncClient, key: str) -> None:
    body = (await management.get("/health", headers={"x-api-key": key})).json()

    assert set(body) == {"status", "version", "checks"}


@pytest.mark.requirement("A11")
async def test_an_admin_key_opens_neither_mcp_nor_the_public_port(
    management: httpx2.AsyncClient, public: httpx2.AsyncClient
) -> None:
    headers = {"x-api-key": ADMIN, **MCP}

    answers = [
        await port.post("/mcp", json=message("tools/list"), headers=headers)
        for port in (management, public)
    ]

    assert [answer.status_code for answer in answers] == [401, 401]


@pytest.mark.requirement("A6", "T10")
async def test_both_metric_pages_show_the_same_numbers(management: httpx2.AsyncClient) -> None:
    text = (await management.get("/metrics")).text
    as_json = (await management.get("/metrics.json")).json()

    from_text = {
        (sample.name, json.dumps(sample.labels, sort_keys=True), sample.value)
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    from_json = {
        (sample["name"], json.dumps(sample["labels"], sort_keys=True), sample["value"])
        for family in as_json["metrics"]
        for sample in family["samples"]
    }
    assert {each for each in from_text if not MOVES.match(each[0])} == {
        each for each in from_json if not MOVES.match(each[0])
    }
    assert {each[:2] for each in from_text} == {each[:2] for each in from_json}
    assert ("mcp_live_reloads_total", '{"outcome": "loaded"}', 1.0) in from_json


@pytest.mark.requirement("T7")
async def test_health_is_there_in_numbers(
    management: httpx2.AsyncClient, backend: FakeBackend
) -> None:
    backend.fault = "its database is away"

    body = (await management.get("/health/metrics")).json()

    values = {(each["name"], *each["labels"].values()): each["value"] for each in body["metrics"]}
    assert body["status"] == "degraded"
    assert values["mcp_health_check", "backend main"] == 0
    assert values["mcp_health_check", "keys"] == 1
    assert values["mcp_ready",] == 0
    assert "database" not in str(body)


@pytest.mark.parametrize("method", ["POST", "DELETE"])
async def test_pages_are_read_only(management: httpx2.AsyncClient, method: str) -> None:
    response = await management.request(method, "/metrics")

    assert response.status_code == 405
    assert response.headers["allow"] == "GET, HEAD"


@pytest.mark.parametrize("method", ["server/discover", "tools/list"])
async def test_the_operator_may_discover_and_list(
    management: httpx2.AsyncClient, operator: Operator, backend: FakeBackend, method: str
) -> None:
    headers = MCP | bearer(operator.token())

    response = await management.post("/mcp", json=message(method), headers=headers)

    assert response.status_code == 200
    assert len(backend.bodies) == 1


@pytest.mark.parametrize("method", ["tools/call", "initialize", "resources/read", "made/up"])
async def test_the_operator_may_do_nothing_else(
    management: httpx2.AsyncClient, operator: Operator, backend: FakeBackend, method: str
) -> None:
    headers = MCP | bearer(operator.token())

    response = await management.post("/mcp", json=message(method), headers=headers)

    assert response.status_code == 403
    assert response.json()["id"] == 7
    assert "server/discover, tools/list" in response.json()["error"]["message"]
    assert backend.bodies == []


async def test_a_batch_hides_nothing_from_the_gate(
    management: httpx2.AsyncClient, operator: Operator, backend: FakeBackend
) -> None:
    batch = [message("tools/list"), message("tools/call")]

    response = await management.post("/mcp", json=batch, headers=MCP | bearer(operator.token()))

    assert response.status_code == 403
    assert backend.bodies == []


@pytest.mark.requirement("T23")
@pytest.mark.parametrize(
    "token",
    [
        pytest.param(lambda _: "", id="none"),
        pytest.param(lambda _: ALICE, id="a-client's-key"),
        pytest.param(lambda _: "a.b.c", id="garbage"),
        pytest.param(lambda it: it.token(aud="another-server"), id="audience"),
        pytest.param(lambda it: it.token(aud=[UID, "another-server"]), id="two-audiences"),
        pytest.param(lambda it: it.token(aud=None), id="no-audience"),
        pytest.param(lambda it: it.token(iss="somebody"), id="issuer"),
        pytest.param(lambda it: it.token(sub="somebody"), id="subject"),
        pytest.param(lambda it: it.token(scope=None), id="no-scope"),
        pytest.param(lambda it: it.token(iat=1, exp=2), id="expired"),
        pytest.param(lambda it: it.token(exp=None), id="no-end"),
        pytest.param(lambda it: it.token(exp=4102444800), id="lives-too-long"),
        pytest.param(lambda _: Operator(kid="one").token(), id="another-key"),
        pytest.param(lambda it: Operator(it.key, "two").token(), id="unknown-kid"),
        pytest.param(
            lambda _: jwt.encode({"aud": UID}, "x" * 32, "HS256", headers={"kid": "one"}),
            id="another-algorithm",
        ),
        pytest.param(
            lambda _: jwt.encode({"aud": UID}, "", "none", headers={"kid": "one"}), id="unsigned"
        ),
    ],
)
async def test_nobody_else_is_the_operator(
    management: httpx2.AsyncClient,
    operator: Operator,
    backend: FakeBackend,
    token: Callable[[Operator], str],
) -> None:
    headers = bearer(token(operator))

    mcp = await management.post("/mcp", json=message("tools/list"), headers=MCP | headers)
    health = await management.get("/health", headers=headers)

    assert mcp.status_code == 401
    assert backend.bodies == []
    assert "revision" not in health.json()


async def test_outside_kubernetes_there_is_no_operator(
    management: httpx2.AsyncClient, process: Process
) -> None:
    token = Operator(kid="one").token(aud="")

    response = await management.post(
        "/mcp", json=message("tools/list"), headers=MCP | bearer(token)
    )

    assert response.status_code == 401
