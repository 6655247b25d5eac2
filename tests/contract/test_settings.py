"""What the operator renders, the runtime reads; both name one state of it the same."""

import json
from typing import Any

import pytest
from pydantic import ValidationError

from breakwater_contract.settings import LiveSettings, RuntimeSettings, live_hash
from breakwater_runtime.settings import parse

RENDERED: dict[str, Any] = {
    "version": 1,
    "server": {"name": "weather", "namespace": "team-a", "uid": "6f1a8f3e"},
    "revision": "5d8c7b9f6",
    "backends": [{"name": "main", "python": {"server": "weather.main:mcp"}}],
    "listen": {"host": "0.0.0.0"},
    "liveFile": "live.json",
}
LIVE: dict[str, Any] = {
    "version": 1,
    "keysDirectory": "/etc/breakwater-keys",
    "operatorKeys": [{"kid": "1", "publicKey": "-----BEGIN PUBLIC KEY-----"}],
}


def test_the_runtime_reads_what_the_operator_renders() -> None:
    settings = parse(RuntimeSettings, json.dumps(RENDERED).encode(), "config.json")
    live = parse(LiveSettings, json.dumps(LIVE).encode(), "live.json")

    assert (settings.listen.public_port, settings.listen.management_port) == (8080, 9464)
    assert live.operator_keys[0].kid == "1"


@pytest.mark.parametrize(("model", "sample"), [(RuntimeSettings, RENDERED), (LiveSettings, LIVE)])
def test_what_a_model_writes_it_reads(
    model: type[RuntimeSettings] | type[LiveSettings], sample: dict[str, Any]
) -> None:
    settings = model.model_validate(sample)

    assert model.model_validate_json(settings.model_dump_json(by_alias=True)) == settings


@pytest.mark.parametrize("version", [0, 2, "1"])
def test_settings_of_another_version_are_refused(version: object) -> None:
    with pytest.raises(ValidationError):
        LiveSettings.model_validate(LIVE | {"version": version})


def test_the_live_hash_never_changes_its_meaning() -> None:
    """Operators and runtimes of different releases compare it."""
    keys = {"alice": b"first", "bob": b"second"}

    assert live_hash(bytes(32), b"{}", keys) == "cfa2bfba86dc3b34"


def test_the_live_hash_sees_every_part() -> None:
    hashes = {
        live_hash(b"k", b"{}", {"a": b"1", "b": b"2"}),
        live_hash(b"x", b"{}", {"a": b"1", "b": b"2"}),
        live_hash(b"k", b"{ }", {"a": b"1", "b": b"2"}),
        live_hash(b"k", b"{}", {"a": b"2", "b": b"1"}),
        live_hash(b"k", b"{}", {"a": b"1"}),
        live_hash(b"k", b"{}", {"a": b"12", "b": b""}),
        live_hash(b"k", b"{}", {"ab": b"12"}),
    }

    assert len(hashes) == 7


def test_the_order_of_keys_does_not_matter() -> None:
    one, other = {"a": b"1", "b": b"2"}, {"b": b"2", "a": b"1"}

    assert live_hash(b"k", b"{}", one) == live_hash(b"k", b"{}", other)
