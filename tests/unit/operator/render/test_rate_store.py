"""How pods get to open the platform's store of shared rates."""

import base64
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from breakwater_contract.settings import LiveSettings
from breakwater_contract.shared_rates import SharedRates
from breakwater_operator.api.models import McpServer
from breakwater_operator.api.platform import Platform, PlatformRates
from breakwater_operator.api.reasons import Reason
from breakwater_operator.render import Intent, children, live, rate_store, revision, ring, secrets
from breakwater_operator.render.rate_store import NOTHING, StoreCredentials
from dev import golden

ROOT = Path(__file__).parents[4]
SERVER = McpServer.parse(golden.cases(ROOT)[0].documents[0])
RATES = PlatformRates(address="valkey.platform.svc:6379", secret_name="rates")


def secret(**data: bytes) -> dict[str, Any]:
    entries = {key.replace("_", "."): value for key, value in data.items()}
    return {"data": {key: base64.b64encode(value).decode() for key, value in entries.items()}}


def test_a_secret_is_copied_with_what_it_has() -> None:
    found = rate_store.resolve(SERVER, RATES, secret(password=b"hush", ca_crt=b"pem"), None)

    assert found.files == {".rates-password": b"hush", ".rates-ca.crt": b"pem"}
    assert found.wait is None
    assert "hush" not in repr(found)


@pytest.mark.parametrize("source", [None, secret(username=b"me"), secret(password=b"")])
def test_without_a_password_what_pods_have_stays_and_somebody_is_told(
    source: dict[str, Any] | None,
) -> None:
    copy = {"data": {".rates-password": base64.b64encode(b"hush").decode(), "alice": "eA=="}}

    kept = rate_store.resolve(SERVER, RATES, source, copy)
    none = rate_store.resolve(SERVER, RATES, source, None)

    assert kept.files == {".rates-password": b"hush"}
    assert none.files == {}
    for found in (kept, none):
        assert found.wait is not None
        assert found.wait.reason is Reason.RATES_SECRET_MISSING
        assert f"{SERVER.namespace}/rates" in str(found.wait)


def test_nothing_is_read_where_the_platform_names_no_secret() -> None:
    without = RATES.model_copy(update={"secret_name": None})

    assert rate_store.resolve(SERVER, without, secret(password=b"hush"), None) is NOTHING
    assert rate_store.resolve(SERVER, None, None, None) is NOTHING


@pytest.mark.parametrize(
    ("tls", "files", "expected"),
    [
        (False, {}, {}),
        (True, {}, {"tls": {}}),
        (
            True,
            {".rates-password": b"x", ".rates-username": b"me\n", ".rates-ca.crt": b"pem"},
            {
                "username": "me",
                "passwordFile": "/etc/breakwater-keys/.rates-password",
                "tls": {"caFile": "/etc/breakwater-keys/.rates-ca.crt"},
            },
        ),
    ],
)
def test_the_runtime_is_told_where_everything_stands(
    tls: bool, files: dict[str, bytes], expected: dict[str, Any]
) -> None:
    rates = RATES.model_copy(update={"tls": tls, "when_away": "Refuse"})

    settings = rate_store.settings(rates, StoreCredentials(files))

    assert settings == SharedRates.model_validate(
        {"address": RATES.address, "whenAway": "Refuse", **expected}
    )


def rendered(platform: Platform, credentials: StoreCredentials) -> Intent:
    keys = secrets.resolve(SERVER, None, None, golden.SEED, golden.FRESH)
    return Intent(
        SERVER,
        platform,
        revision.current(SERVER, platform, ()),
        keys,
        ring.first(SERVER, golden.NOW, golden.FRESH),
        (golden.OPERATOR_KEY,),
        rate_store=credentials,
    )


def test_a_store_changes_no_revision_and_opens_the_way_to_it() -> None:
    on = golden.PLATFORM
    off = on.model_copy(update={"shared_rates": None})
    with_store = rendered(on, StoreCredentials({".rates-password": b"hush"}))
    without = rendered(off, NOTHING)

    assert with_store.revision.name == without.revision.name
    found = LiveSettings.model_validate_json(live.live_settings(with_store))
    assert found.shared_rates is not None
    assert LiveSettings.model_validate_json(live.live_settings(without)).shared_rates is None
    ways = [str(child["spec"]["egress"]) for child in children(with_store) if is_policy(child)]
    closed = [str(child["spec"]["egress"]) for child in children(without) if is_policy(child)]
    assert ways[0].count("'platform'") == closed[0].count("'platform'") + 1


def is_policy(child: dict[str, Any]) -> bool:
    return bool(child["kind"] == "NetworkPolicy")


def test_the_password_lies_in_the_secret_of_the_pods_alone() -> None:
    intent = replace(
        rendered(golden.PLATFORM, StoreCredentials({".rates-password": b"hush-hush"})),
    )

    holding = [
        child["kind"]
        for child in children(intent)
        if base64.b64encode(b"hush-hush").decode() in str(child) or "hush-hush" in str(child)
    ]

    assert holding == ["Secret"]
