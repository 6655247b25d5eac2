"""What a user may write, and what is answered where it is wrong."""

from typing import Any

import pytest

from breakwater_operator.api.errors import SpecError
from breakwater_operator.api.models import McpServer

PYTHON = {"server": "weather.main:mcp"}
ISSUER = {"issuer": "https://id.example", "audiences": ["a"]}
DENIED = {"name": "safe", "effect": "Deny", "principals": ["*"], "tools": ["*"]}


def manifest(name: str = "web", **spec: Any) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "team-a", "uid": "u", "generation": 4}
    return {"metadata": metadata, "spec": {"backends": [{"python": PYTHON}]} | spec}


def faults(obj: dict[str, Any]) -> list[str]:
    with pytest.raises(SpecError) as refused:
        McpServer.parse(obj)
    return [str(fault) for fault in refused.value.faults]


def test_three_lines_of_spec_are_enough() -> None:
    server = McpServer.parse(manifest())

    assert (server.name, server.namespace, server.uid, server.generation) == (
        "web", "team-a", "u", 4,
    )  # fmt: skip
    assert server.spec.replicas == 2
    assert server.spec.backends[0].name == "main"


def test_every_fault_is_named_at_its_place() -> None:
    volumes = [{"name": "data", "hostPath": {}}]

    found = faults(manifest(replicas="2", pod={"volumes": volumes}, suspended=True))

    assert [fault.partition(":")[0] for fault in found] == [
        "spec.pod.volumes[data].hostPath",
        "spec.replicas",
        "spec.suspended",
    ]


def test_items_are_called_by_their_names() -> None:
    env = [{"name": "TOKEN", "value": "a", "valueFrom": {"secretKeyRef": {}}}]

    found = faults(manifest(backends=[{"name": "crm", "python": PYTHON | {"env": env}}]))

    assert (
        "spec.backends[crm].python.env[TOKEN].valueFrom.secretKeyRef.name: is missing; add it"
        in (found)
    )


def test_a_fault_below_a_list_is_not_followed_by_one_about_its_length() -> None:
    found = faults(manifest(backends=[{"python": PYTHON | {"sever": 1}}]))

    assert found == [
        "spec.backends[0].python.sever: is not a field here; remove it or correct its name"
    ]


@pytest.mark.parametrize(
    ("obj", "says"),
    [
        pytest.param(manifest("x" * 41), "at most 40 characters", id="long-name"),
        pytest.param(manifest("web\n"), "choose another name", id="line-break"),
        pytest.param(
            manifest(access={"keys": {"secretName": "web-live"}}),
            "name a Secret of your own",
            id="our-secret",
        ),
        pytest.param(
            manifest(access={"keys": {"secretName": "web-tls"}}),
            "name a Secret of your own",
            id="secret-of-cert-manager",
        ),
        pytest.param(
            manifest(expose={"host": "a.example", "certificate": {"secretName": "web-internal"}}),
            "name a Secret with a certificate",
            id="our-secret-as-a-certificate",
        ),
        pytest.param(manifest(replicas=None), "replicas", id="null"),
        pytest.param({"metadata": manifest()["metadata"]}, "spec.backends: is missing", id="empty"),
        pytest.param(
            manifest(backends=[{"name": n, "python": PYTHON} for n in "ab"]),
            "at most one backend can be python",
            id="two-pythons",
        ),
        pytest.param(
            manifest(
                backends=[
                    {"name": name, "container": {"image": "a/b:1", "port": 8000}} for name in "ab"
                ]
            ),
            "cannot have the same port",
            id="one-port-for-two",
        ),
        pytest.param(
            manifest(access={"policies": [DENIED | {"backends": ["m*", "mian"]}]}),
            "no backend mian: each access.policies[].backends must be the name of one",
            id="policy-about-an-unknown-backend",
        ),
        pytest.param(
            manifest(backends=[{"name": "a", "remote": {"url": "https://a.b/"}}] * 2),
            "backends has a twice",
            id="one-name-for-two",
        ),
        pytest.param(
            manifest(backends=[{"remote": {"url": "http://a.b/mcp"}}]),
            "write an https URL, or insecurePlainHttp: true",
            id="plain-http",
        ),
        pytest.param(
            manifest(access={"jwt": ISSUER | {"caBundle": "LS0tLS1CRUdJTiBDRVJU"}}),
            "write certificates in PEM",
            id="bundle-in-base64",
        ),
        pytest.param(
            manifest(backends=[{"python": {"server": "main.py"}}]),
            "spec.backends[0].python.server: 'main.py': write package.module:attribute",
            id="server",
        ),
        pytest.param(
            manifest(runtime={"image": f"registry.example/a:{'x' * 129}"}),
            "write an image as registry/repository:tag",
            id="long-tag",
        ),
        pytest.param(
            manifest(pod={"resources": {"limits": {"memory": "1 GB"}}}),
            "write one as in 512Mi",
            id="not-an-amount",
        ),
        pytest.param(
            manifest(pod={"volumes": [{"name": "a", "emptyDir": {}}] * 2}),
            "pod.volumes has a twice",
            id="twice",
        ),
    ],
)
def test_a_message_says_what_to_write(obj: dict[str, Any], says: str) -> None:
    assert any(says in fault for fault in faults(obj))


@pytest.mark.parametrize("field", ["stdio", "command", "args"])
def test_no_word_of_a_command_holds_what_no_process_can_be_given(field: str) -> None:
    port = {} if field == "stdio" else {"port": 8001}
    container = {"image": "registry.example/crm:1", field: ["crm", "a\0b"], **port}

    (found,) = faults(manifest(backends=[{"container": container}]))

    assert found.startswith(f"spec.backends[0].container.{field}[1]: ")
    assert "cannot hold the character NUL; take it out" in found


def test_a_value_that_may_be_a_secret_is_not_shown() -> None:
    env = [{"name": "TOKEN", "value": "hunter2\0"}]

    (found,) = faults(manifest(backends=[{"python": PYTHON | {"env": env}}]))

    assert found.startswith("spec.backends[0].python.env[TOKEN]: value: ")
    assert "NUL; take it out" in found
    assert "hunter2" not in found


def test_a_suspended_server_wants_no_pods() -> None:
    assert McpServer.parse(manifest(suspend=True, replicas=3)).wanted_replicas == 0
