"""What is rendered for the runtime is what the runtime reads."""

import json
from dataclasses import replace
from pathlib import Path

from breakwater_contract.names import SETTINGS_ANNOTATION
from breakwater_contract.settings import LiveSettings, RuntimeSettings, live_files, live_hash
from breakwater_operator.api.models import McpServer
from breakwater_operator.render import Intent, live, revision, ring, secrets
from breakwater_operator.render.revision import Revision
from dev import golden

ROOT = Path(__file__).parents[4]
CASE = golden.cases(ROOT)[0]
SERVER = McpServer.parse(CASE.documents[0])
REVISION = revision.current(SERVER, golden.PLATFORM, ())
RING = ring.first(SERVER, golden.NOW, golden.FRESH)


def intent(fresh: bytes) -> Intent:
    keys = secrets.resolve(SERVER, None, None, golden.SEED, fresh)
    return Intent(SERVER, golden.PLATFORM, REVISION, keys, RING, (golden.OPERATOR_KEY,))


def test_the_pods_settings_are_settings_of_the_runtime() -> None:
    text = REVISION.template["metadata"]["annotations"][SETTINGS_ANNOTATION]

    settings = RuntimeSettings.model_validate_json(text)

    assert (settings.server.uid, settings.revision) == (SERVER.uid, REVISION.name)
    assert settings.listen.host == "::"
    assert json.loads(text)["version"] == 1


def test_live_settings_are_settings_of_the_runtime() -> None:
    settings = LiveSettings.model_validate_json(live.live_settings(intent(golden.FRESH)))

    assert settings.operator_keys == (golden.OPERATOR_KEY,)
    assert settings.keys_directory == "/etc/breakwater-keys"


def test_the_live_hash_is_that_of_the_contract_and_follows_the_keys() -> None:
    first, second = intent(golden.FRESH), intent(b"o" * 32)

    assert live.wanted(first) == live_hash(
        first.keys.hash_key,
        live.live_settings(first),
        live_files(first.keys.principals, RING.files()),
    )
    assert live.wanted(first) != live.wanted(second)


def test_pods_that_share_nothing_give_no_sessions_where_several_answer() -> None:
    template = {**REVISION.template, "spec": {**REVISION.template["spec"], "volumes": []}}
    older = Revision(REVISION.name, 1, {**REVISION.data, "template": template})
    found = [
        LiveSettings.model_validate_json(live.live_settings(replace(rendered, server=server)))
        for rendered in (intent(golden.FRESH), replace(intent(golden.FRESH), revision=older))
        for server in (scaled(2), scaled(1))
    ]

    assert [each.sessions for each in found] == ["Auto", "Auto", "Never", "Auto"]


def scaled(replicas: int) -> McpServer:
    spec = SERVER.spec.model_copy(update={"replicas": replicas})
    return SERVER.model_copy(update={"spec": spec})
