"""What old pods still need of the time of their revision: what was denied of their backends."""

import json
from dataclasses import replace
from typing import Any

from kubernetes.aio.client import Configuration

from breakwater_contract.settings import BACKENDS_MAX, LiveSettings
from breakwater_operator.api.models import McpServer
from breakwater_operator.kube.api import KubeApi
from breakwater_operator.kube.kinds import CONFIG_MAP, CONTROLLER_REVISION, DEPLOYMENT
from breakwater_operator.reconcile.older import Carrying
from breakwater_operator.reconcile.world import World
from breakwater_operator.render import Intent, live, live_objects, revision, ring, secrets
from breakwater_operator.render.controller_revision import controller_revision
from breakwater_operator.render.deployment import deployment
from dev import golden

Object = dict[str, Any]

DENY: Object = {"deny": ["delete_*"]}


def server(*backends: str, **tools: Any) -> McpServer:
    """Make a server with these remote backends; one without a word about its tools denies some."""
    specs = [
        {
            "name": name,
            "remote": {"url": f"https://{name}.example/mcp"},
            "tools": tools.get(name, DENY),
        }
        for name in backends
    ]
    metadata = {"name": "web", "namespace": "team-a", "uid": "u"}
    return McpServer.parse({"metadata": metadata, "spec": {"backends": specs, "replicas": 1}})


class Ground:
    """A cluster with one server, and what a pass knows of it."""

    def __init__(self) -> None:
        api = KubeApi(Configuration(), lambda *_: None)
        self.world = World(api, [], lambda _: None, lambda _: None)
        self.carrying = Carrying(self.world)
        self._version = 0

    def led_by_another(self) -> None:
        self.carrying = Carrying(self.world)

    def intent(self, spec: McpServer) -> Intent:
        """Do what a pass does before it renders."""
        stored = self.world.children[CONTROLLER_REVISION].together(spec.uid)
        current = revision.current(spec, golden.PLATFORM, stored)
        keys = secrets.resolve(spec, None, None, golden.SEED, golden.FRESH)
        shared = ring.first(spec, golden.NOW, golden.FRESH)
        intent = Intent(spec, golden.PLATFORM, current, keys, shared, (golden.OPERATOR_KEY,))
        return replace(intent, carried=self.carrying.of(spec, stored, current.name))

    def passes(self, spec: McpServer, *, is_complete: bool = False) -> dict[str, Any]:
        """Make a pass; say what pods are then told of the tools of each backend."""
        intent = self.intent(spec)
        self.write(live_objects.live_config_map(intent))
        self.write(controller_revision(intent))
        counts = {"observedGeneration": 1, "updatedReplicas": 1, "replicas": 1}
        status = counts if is_complete else counts | {"updatedReplicas": 0}
        self.write(deployment(intent), status=status)
        return self.told()

    def write(self, manifest: Any, **more: Any) -> None:
        self._version += 1
        metadata = manifest["metadata"] | {
            "uid": manifest["metadata"]["name"],
            "resourceVersion": str(self._version),
            "generation": 1,
        }
        kinds = {kind.name: kind for kind in (CONFIG_MAP, CONTROLLER_REVISION, DEPLOYMENT)}
        cache = self.world.children[kinds[manifest["kind"]]]
        cache.wrote(manifest | more | {"metadata": metadata})

    def pod_of(self, name: str, phase: str = "Running") -> None:
        self._version += 1
        labels = {"breakwater.dev/server": "web", "breakwater.dev/revision": name}
        identity = {"namespace": "team-a", "name": "p", "uid": name}
        metadata = identity | {"resourceVersion": str(self._version), "labels": labels}
        self.world.pods.wrote({"metadata": metadata, "status": {"phase": phase}})

    def told(self) -> dict[str, Any]:
        found = json.loads(self.config_map()["data"]["v1.json"]).get("tools", [])
        return {one.pop("backend"): one for one in found}

    def config_map(self) -> Object:
        found = self.world.children[CONFIG_MAP].get("team-a", "web-live")
        assert found is not None
        return found

    def edit(self, *entries: Object) -> None:
        """Change the settings by hand."""
        said = json.loads(self.config_map()["data"]["v1.json"]) | {"tools": list(entries)}
        self.write(self.config_map() | {"data": {"v1.json": json.dumps(said)}})


def test_what_a_renamed_backend_denied_stays_denied_until_its_last_pod_is_gone() -> None:
    ground = Ground()
    ground.passes(server("one"), is_complete=True)
    ground.pod_of(revision.name(server("one")))

    renamed = [ground.passes(server("uno")) for _ in range(2)]
    not_yet_gone = ground.passes(server("uno"), is_complete=True)
    ground.pod_of(revision.name(server("uno")))
    at_last = ground.passes(server("uno"), is_complete=True)

    assert renamed == [{"uno": DENY, "one": DENY}] * 2
    assert not_yet_gone == renamed[0]
    assert at_last == {"uno": DENY}
    assert ground.carrying.known == {}


def test_a_backend_that_was_taken_out_keeps_what_was_said_last() -> None:
    ground = Ground()
    ground.passes(server("one", "two"), is_complete=True)
    ground.passes(server("one", "two", two={"deny": ["drop"]}), is_complete=True)

    assert ground.passes(server("one")) == {"one": DENY, "two": {"deny": ["drop"]}}


def test_several_renames_while_pods_do_not_come_keep_all_of_it() -> None:
    ground = Ground()
    for name in ("one", "uno"):
        ground.passes(server(name))

    told = ground.passes(server("eins"))
    again = ground.passes(server("one", one={"deny": ["drop"]}))

    assert told == {"eins": DENY, "one": DENY, "uno": DENY}
    assert again == {"one": {"deny": ["drop"]}, "eins": DENY, "uno": DENY}


def test_a_backend_without_a_name_is_one_too() -> None:
    ground = Ground()
    ground.passes(server("main"))

    assert ground.passes(server("uno")) == {"uno": DENY, "main": DENY}


def test_what_others_make_of_it_is_repaired() -> None:
    ground = Ground()
    ground.passes(server("one", "two", two={}), is_complete=True)
    before = ground.passes(server("uno"))

    ground.edit({"backend": "two", "deny": ["*"]}, {"backend": "three", "deny": ["*"]})

    assert before == {"uno": DENY, "one": DENY}
    assert ground.passes(server("uno")) == before


def test_who_comes_to_lead_takes_what_it_finds_of_backends_that_pods_may_have() -> None:
    ground = Ground()
    ground.passes(server("one"), is_complete=True)
    before = ground.passes(server("uno"))

    ground.led_by_another()
    after = ground.passes(server("uno"))
    ground.led_by_another()
    ground.edit({"backend": "one", "deny": ["drop"]}, {"backend": "three", "deny": ["*"]})
    edited = ground.passes(server("uno"))

    assert after == before
    assert edited == {"uno": DENY, "one": {"deny": ["drop"]}}


def test_settings_that_cannot_be_read_carry_nothing() -> None:
    ground = Ground()
    for data in ({}, {"v1.json": "{"}, {"v1.json": "[]"}, {"v1.json": '{"tools":[{"x":1}]}'}):
        ground.passes(server("one"), is_complete=True)
        ground.led_by_another()
        ground.write(ground.config_map() | {"data": data})

        assert ground.passes(server("uno")) == {"uno": DENY}


def test_nothing_is_carried_where_no_backend_went() -> None:
    ground = Ground()
    ground.passes(server("one", "two"), is_complete=True)

    told = ground.passes(server("two", "one", "three"))

    assert told == {"two": DENY, "one": DENY, "three": DENY}
    assert ground.carrying.known == {}


def test_nothing_is_remembered_of_a_server_that_is_gone() -> None:
    ground = Ground()
    ground.passes(server("one"), is_complete=True)
    ground.passes(server("uno"))

    ground.carrying.forget(("team-a", "web"))

    assert ground.carrying.known == {}


def test_a_runtime_is_told_no_more_than_it_takes() -> None:
    ground = Ground()
    groups = [[f"{letter}{number}" for number in range(16)] for letter in "abcd"]
    for names in groups:
        ground.passes(server(*names), is_complete=names == groups[0])

    settings = LiveSettings.model_validate_json(live.live_settings(ground.intent(server(*names))))

    assert len(settings.tools) == BACKENDS_MAX
    assert [each.backend for each in settings.tools] == [*groups[3], *groups[0]]
