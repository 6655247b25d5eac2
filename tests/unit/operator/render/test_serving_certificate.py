"""Which certificate pods show, and until when that stands."""

import base64
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from breakwater_operator.api.models import McpServer
from breakwater_operator.api.reasons import Reason
from breakwater_operator.render import Intent, exposure, revision, ring, secrets
from breakwater_operator.render.serving_certificate import (
    NONE,
    ServingCertificate,
    looked_at,
    resolve,
)
from dev import golden
from tests.support.certificates import self_signed

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
SOON = NOW + timedelta(hours=1)


def server(**expose: Any) -> McpServer:
    expose = {"host": "crm.example", "certificate": {"secretName": "crm-cert"}} | expose
    metadata = {"name": "crm", "namespace": "team-a", "uid": "u", "generation": 1}
    spec = {"backends": [{"python": {"server": "a:b"}}], "expose": expose}
    return McpServer.parse({"metadata": metadata, "spec": spec})


SERVER = server()


def intent(spec: McpServer) -> Intent:
    found = revision.current(spec, golden.PLATFORM, ())
    keys = secrets.resolve(spec, None, None, golden.SEED, golden.FRESH)
    shared = ring.first(spec, golden.NOW, golden.FRESH)
    return Intent(spec, golden.PLATFORM, found, keys, shared, (golden.OPERATOR_KEY,))


def secret(certificate: bytes, key: bytes) -> dict[str, Any]:
    data = {"tls.crt": certificate, "tls.key": key}
    return {"data": {name: base64.b64encode(value).decode() for name, value in data.items()}}


def judged(**dates: datetime) -> ServingCertificate:
    return resolve(SERVER, secret(*self_signed("crm.example", **dates)), None, NOW)


def test_a_good_one_stands_until_it_ends() -> None:
    found = judged(until=SOON)

    assert (found.wait, found.until) == (None, SOON)
    assert found.files != {}


@pytest.mark.requirement("T1")
@pytest.mark.parametrize(
    ("dates", "says", "until"),
    [
        pytest.param(
            {"since": SOON},
            "begins at 2026-11-22 13:00 UTC",
            SOON,
            id="yet",
        ),
        pytest.param({"until": NOW}, "ended at 2026-11-22 12:00 UTC", None, id="ended"),
    ],
)
def test_one_that_is_not_valid_now_is_not_shown(
    dates: dict[str, datetime], says: str, until: datetime | None
) -> None:
    found = judged(**dates)

    assert found.wait is not None
    assert found.wait.reason is Reason.CERTIFICATE_WRONG
    assert says in str(found.wait)
    assert (dict(found.files), found.until) == ({}, until)


def test_one_with_another_certificates_key_is_not_shown() -> None:
    certificate, _ = self_signed("crm.example")
    _, key = self_signed("crm.example")

    found = resolve(SERVER, secret(certificate, key), None, NOW)

    assert "tls.key is not the key of the first certificate" in str(found.wait)


@pytest.mark.parametrize(
    ("host", "written", "says"),
    [
        pytest.param("10.9.8.7", "10.9.8.7", None, id="address"),
        pytest.param("10.9.8.7", "10.9.8.6", "is for 10.9.8.6, not for 10.9.8.7", id="other"),
        pytest.param("10.9.8.7", "*.9.8.7", "is for *.9.8.7, not for 10.9.8.7", id="wildcard"),
        pytest.param("crm.example", "10.9.8.7", "is for 10.9.8.7, not for crm.example", id="name"),
        pytest.param("crm.example", "*.example", None, id="name-by-wildcard"),
    ],
)
def test_one_is_for_an_address_only_where_it_says_so(
    host: str, written: str, says: str | None
) -> None:
    found = resolve(server(host=host), secret(*self_signed(written)), None, NOW)

    assert (found.wait is None) == (says is None)
    assert (says or "") in str(found.wait)


def test_cert_manager_is_asked_for_an_address_as_one() -> None:
    asked = [
        exposure.certificate(intent(server(host=host, certificate={"issuer": "ours"})))
        for host in ("10.9.8.7", "crm.example")
    ]

    by_address, by_name = [each["spec"] for each in asked if each is not None]
    assert (by_address["ipAddresses"], "dnsNames" in by_address) == (["10.9.8.7"], False)
    assert (by_name["dnsNames"], "ipAddresses" in by_name) == (["crm.example"], False)


def test_what_is_no_certificate_says_so_and_nothing_of_it() -> None:
    found = resolve(SERVER, secret(b"hunter2", b"hunter2"), None, NOW)

    assert "is no PEM that can be read" in str(found.wait)
    assert "hunter2" not in str(found.wait)


@pytest.mark.parametrize("front", [{"ingressClassName": "nginx"}, {"gateway": "infra/public"}])
def test_one_of_the_users_own_for_a_gateway_or_ingress_is_judged_and_not_taken(
    front: dict[str, str],
) -> None:
    fronted = server(**front)

    missing = resolve(fronted, None, None, NOW)
    other = resolve(fronted, secret(*self_signed("other.example")), None, NOW)
    good = resolve(fronted, secret(*self_signed("crm.example", SOON)), None, NOW)

    assert missing.problem is not None
    assert missing.problem.reason is Reason.CERTIFICATE_MISSING
    assert "Secret team-a/crm-cert does not exist; create it" in str(missing.problem)
    assert "is for other.example, not for crm.example" in str(other.problem)
    assert (good.problem, good.until) == (None, SOON)
    assert [(dict(one.files), one.wait) for one in (missing, other, good)] == [({}, None)] * 3


def test_one_that_cert_manager_makes_for_a_gateway_is_none_of_ours() -> None:
    fronted = server(gateway="infra/public", certificate={"issuer": "letsencrypt"})

    assert looked_at(fronted) is None
    assert resolve(fronted, None, None, NOW) == NONE
    assert looked_at(server(certificate={"issuer": "letsencrypt"})) == "crm-tls"
