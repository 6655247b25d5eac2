"""Steps around authentication on the public port: addresses, failures, permissive entry, HTTPS."""

from datetime import UTC, datetime

import httpx2
import pytest
from pydantic import ValidationError

from breakwater_contract.access import Access, Addresses, Permissive, Policy, moment
from breakwater_runtime import app
from breakwater_runtime.app import Process
from breakwater_runtime.http.failures import Failures
from tests.unit.runtime.fakes import ALICE, FakeBackend, FakeClock

KEY = {"x-api-key": ALICE}
WRONG = {"x-api-key": "wrong"}
MCP = {"content-type": "application/json", "accept": "application/json, text/event-stream"}
MESSAGE = {"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": {"name": "get_a"}}


def client(process: Process, address: str = "127.0.0.1") -> httpx2.AsyncClient:
    transport = httpx2.ASGITransport(app=app.public(process), client=(address, 1))
    return httpx2.AsyncClient(transport=transport, base_url="http://server")


def events(process: Process, event: str) -> float | None:
    return process.metrics.registry.get_sample_value("mcp_security_events_total", {"event": event})


def outcomes(process: Process, outcome: str) -> float | None:
    return process.metrics.registry.get_sample_value(
        "mcp_authentication_total", {"outcome": outcome}
    )


class TestAddresses:
    @pytest.fixture
    def access(self) -> Access:
        return Access(
            addresses=Addresses(deny=("203.0.113.0/24",), trusted_proxies=("10.0.0.0/8",))
        )

    @pytest.mark.requirement("T4")
    async def test_a_denied_address_is_refused_before_its_key_is_looked_at(
        self, process: Process, backend: FakeBackend
    ) -> None:
        async with client(process, "203.0.113.5") as http:
            response = await http.post("/mcp", json=MESSAGE, headers={**MCP, **KEY})

        assert response.status_code == 403
        assert response.json()["error"]["data"]["code"] == "ADDRESS_NOT_ALLOWED"
        assert backend.bodies == []
        assert events(process, "address.refused") == 1
        assert outcomes(process, "accepted") == 0

    @pytest.mark.requirement("T4")
    @pytest.mark.parametrize(("peer", "status"), [("10.1.1.1", 403), ("198.51.100.1", 200)])
    async def test_a_forwarded_address_counts_from_trusted_proxies_only(
        self, process: Process, peer: str, status: int
    ) -> None:
        headers = {**MCP, **KEY, "x-forwarded-for": "203.0.113.5"}

        async with client(process, peer) as http:
            response = await http.post("/mcp", json=MESSAGE, headers=headers)

        assert response.status_code == status


class TestFailures:
    @pytest.fixture
    def access(self) -> Access:
        return Access(failures_per_minute=3)

    @pytest.mark.requirement("T4", "K9")
    async def test_who_fails_too_often_is_told_to_wait_and_nobody_else(
        self, process: Process, clock: FakeClock
    ) -> None:
        async with client(process) as http, client(process, "127.0.0.2") as other:
            guesses = [await http.get("/x", headers={"x-api-key": f"k{n}"}) for n in range(6)]
            elsewhere = await other.get("/x", headers=WRONG)
            clock.advance(seconds=60)
            later = await http.get("/x", headers=WRONG)

        assert [each.status_code for each in guesses] == [401] * 3 + [429] * 3
        assert guesses[-1].headers["retry-after"] == "20"
        assert guesses[-1].headers["ratelimit-policy"] == '"failures";q=3;w=60'
        assert guesses[-1].json()["error"]["code"] == "RATE_LIMITED"
        assert guesses[-1].json()["error"]["retryAfter"] == 20
        assert (elsewhere.status_code, later.status_code) == (401, 401)
        assert events(process, "rate.limited") == 3
        assert outcomes(process, "limited") == 3

    @pytest.mark.requirement("K9")
    async def test_a_guess_is_not_even_looked_at_and_a_credential_known_to_be_good_is(
        self, process: Process
    ) -> None:
        async with client(process) as http:
            await guess(http)
            unknown_here = await http.get("/x", headers=KEY)
        async with client(process) as http:
            known = await http.get("/x", headers=KEY)
            await guess(http)
            still = await http.get("/x", headers=KEY)

        assert unknown_here.status_code == 429
        assert (known.status_code, still.status_code) == (404, 404)

    async def test_missing_credentials_are_failures_too(self, process: Process) -> None:
        async with client(process) as http:
            asked = [await http.get("/x") for _ in range(5)]

        assert [each.status_code for each in asked] == [401, 401, 401, 429, 429]


async def guess(http: httpx2.AsyncClient) -> None:
    for _ in range(4):
        await http.get("/x", headers=WRONG)


def test_what_is_remembered_of_failures_is_bounded(
    clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("breakwater_runtime.http.failures.BLOCKED_MAX", 5)
    monkeypatch.setattr("breakwater_runtime.http.failures.KNOWN_MAX", 5)
    failures = Failures(lambda: 1, clock.elapsed)

    for n in range(20):
        failures.failed(f"192.0.2.{n}")
        failures.failed(f"192.0.2.{n}")
        failures.succeeded(bytes([n]))

    assert len(failures._blocked) == len(failures._known) == 5


class TestPermissive:
    @pytest.fixture
    def access(self) -> Access:
        deny = Policy(
            name="no-sets", effect="Deny", principals=("unauthenticated",), tools=("set_*",)
        )
        allow = Policy(name="all", effect="Allow", principals=("*",), tools=("*",))
        return Access(permissive=Permissive(until="2026-11-22"), policies=(deny, allow))

    @pytest.mark.requirement("A10")
    async def test_missing_credentials_get_in_until_the_date_counted_and_named(
        self, process: Process, clock: FakeClock, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level("INFO", "breakwater.audit")
        headers = {**MCP, "user-agent": "old-client/1"}

        async with client(process, "192.0.2.7") as http:
            before = await http.post("/mcp", json=MESSAGE, headers=headers)
            clock.advance(hours=15)
            after = await http.post("/mcp", json=MESSAGE, headers=headers)

        assert (before.status_code, after.status_code) == (200, 401)
        assert outcomes(process, "permissive") == 1
        entry, _ = (vars(record) for record in caplog.records)
        assert entry["event"] == "authentication.permissive"
        assert (entry["address"], entry["user_agent"]) == ("192.0.2.7", "old-client/1")

    @pytest.mark.requirement("A10", "T23")
    @pytest.mark.parametrize(
        "headers", [WRONG, {"authorization": "Bearer a.b.c"}, {"x-api-key": ""}]
    )
    async def test_a_wrong_credential_does_not(
        self, process: Process, headers: dict[str, str]
    ) -> None:
        async with client(process) as http:
            response = await http.post("/mcp", json=MESSAGE, headers={**MCP, **headers})

        assert response.status_code == 401

    @pytest.mark.requirement("A10", "G2")
    async def test_policies_apply_to_whoever_gets_in(self, process: Process) -> None:
        message = {**MESSAGE, "params": {"name": "set_a"}}

        async with client(process) as http:
            response = await http.post("/mcp", json=message, headers=MCP)

        assert response.status_code == 403
        assert response.json()["error"]["data"]["rule"] == "no-sets"


class TestAnonymous:
    @pytest.fixture
    def access(self) -> Access:
        return Access(insecure_anonymous=True)

    @pytest.mark.requirement("K1")
    async def test_it_lets_those_in_who_have_no_credential(self, process: Process) -> None:
        async with client(process) as http:
            nobody = await http.post("/mcp", json=MESSAGE, headers=MCP)
            wrong = await http.post("/mcp", json=MESSAGE, headers={**MCP, **WRONG})

        assert (nobody.status_code, wrong.status_code) == (200, 401)
        assert outcomes(process, "anonymous") == 1

    def test_it_is_said_aloud(self, process: Process, caplog: pytest.LogCaptureFixture) -> None:
        process.live._seen = None
        process.live.load()

        assert "insecureAnonymous" in caplog.text


class TestHttpsRefused:
    @pytest.fixture
    def access(self) -> Access:
        return Access(require_https="Refuse", addresses=Addresses(trusted_proxies=("10.0.0.0/8",)))

    @pytest.mark.requirement("K1", "T1")
    async def test_what_somebody_could_read_is_refused_and_counted(
        self, process: Process, backend: FakeBackend
    ) -> None:
        async with client(process) as http:
            response = await http.post("/mcp", json=MESSAGE, headers={**MCP, **KEY})

        assert response.status_code == 403
        assert response.json()["error"]["data"]["code"] == "HTTPS_REQUIRED"
        assert "strict-transport-security" not in response.headers
        assert backend.bodies == []
        assert events(process, "https.refused") == 1

    @pytest.mark.requirement("T1")
    async def test_behind_a_proxy_with_https_requests_pass_and_answers_say_hsts(
        self, process: Process
    ) -> None:
        headers = {**MCP, **KEY, "x-forwarded-proto": "https"}

        async with client(process, "10.0.0.1") as http:
            response = await http.post("/mcp", json=MESSAGE, headers=headers)

        assert response.status_code == 200
        assert response.headers["strict-transport-security"] == "max-age=31536000"


class TestHttpsRedirected:
    @pytest.fixture
    def access(self) -> Access:
        return Access(require_https="Redirect")

    @pytest.mark.requirement("K1", "K5")
    @pytest.mark.parametrize(
        ("host", "location"),
        [
            ("mcp.example:8080", "https://mcp.example/mcp?a=1%20b"),
            ("[::1]:8080", "https://[::1]/mcp?a=1%20b"),
        ],
    )
    async def test_they_are_sent_to_the_same_place_with_https(
        self, process: Process, host: str, location: str
    ) -> None:
        async with client(process) as http:
            response = await http.post("/mcp?a=1%20b", json=MESSAGE, headers={"host": host})

        assert (response.status_code, response.headers["location"]) == (308, location)
        assert events(process, "https.redirected") == 1

    @pytest.mark.parametrize("host", ["evil.example/", "a@b", "", "a b"])
    async def test_a_host_that_is_none_leads_nowhere(self, process: Process, host: str) -> None:
        async with client(process) as http:
            response = await http.get("/mcp", headers={"host": host})

        assert response.status_code == 403
        assert "location" not in response.headers


class TestHttpsRedirectedToThePublicUrl:
    @pytest.fixture
    def access(self) -> Access:
        return Access(require_https="Redirect", public_url="https://mcp.example:8443/mcp")

    async def test_the_public_url_says_which_host(self, process: Process) -> None:
        async with client(process) as http:
            response = await http.get("/mcp", headers={"host": "pod.internal"})

        assert response.headers["location"] == "https://mcp.example:8443/mcp"


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2027-01-31", datetime(2027, 1, 31, tzinfo=UTC)),
        ("2027-01-31T18:00:00Z", datetime(2027, 1, 31, 18, tzinfo=UTC)),
        ("2027-01-31T18:00:00+02:00", datetime(2027, 1, 31, 16, tzinfo=UTC)),
    ],
)
def test_an_end_is_a_date_or_a_time(text: str, time: datetime) -> None:
    assert moment(text) == time


@pytest.mark.requirement("W5")
@pytest.mark.parametrize("until", ["soon", "2027-01-31T18:00:00", "", "2027-02-31"])
def test_an_end_that_could_be_misunderstood_is_refused(until: str) -> None:
    with pytest.raises(ValidationError):
        Permissive(until=until)


def test_an_end_and_no_end_exclude_each_other() -> None:
    with pytest.raises(ValidationError, match="not both"):
        Access(insecure_anonymous=True, permissive=Permissive(until="2027-01-31"))
