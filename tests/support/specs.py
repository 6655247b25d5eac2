"""McpServers that hypothesis makes up: right ones, and ones with something wrong in them."""

from typing import Any

from hypothesis import strategies as st

from breakwater_operator.api.crd import crd

Object = dict[str, Any]

JUNK: list[Any] = [None, True, 0, -1, 1.5, "", "x", "2", [], {}, [None], ["x"], {"x": 1}]

RIGHT: dict[str, list[Any]] = {
    "name": ["data", "scratch", "main"],
    "mountPath": ["/data", "/data/x", "/a b", "/a/..b", "/a/...", "/é"],
    "subPath": ["a", "a/b", "..a/b", "..."],
    "path": ["a", "a/b", ".a"],
    "image": ["registry.example/a:1", f"a/b@sha256:{'0' * 64}"],
    "server": ["weather.main:mcp", "main:mcp"],
    "secretName": ["keys", "web"],
    "claimName": ["data", "a.b-c.d"],
    "key": ["value", "_a.B-c", "0"],
    "cpu": [1, 2, "1", "500m", "1.5", "0.125"],
    "replicas": [0, 1, 2, 1000],
}
WRONG: dict[str, list[Any]] = {
    "name": ["breakwater", "Bad_name", "x" * 64, "a.b", "data"],
    "mountPath": [
        "/tmp", "/etc", "/etc/breakwater/x", "/a/../b", "/a/./b", "/srv/", "//x", "data", "/a:b",
    ],
    "subPath": ["../a", "a/..", "/a", "."],
    "path": ["../a", "a/..", "/a"],
    "image": [
        "bad image", "-x", "", "a//b", "a::b", "https://a/b", f"a:{'x' * 129}", "a/B", "a:1:2",
    ],
    "server": ["main", "a:b.c", ":x"],
    "secretName": ["web-keys", "web-live", "Keys"],
    "claimName": ["A", "a..b", ".", ""],
    "key": ["$(X)", "a/b", ""],
    "value": ["a\0b", "x" * 32769],
    "cpu": ["0.1234", "-1", -1, "1e3", "1Ki", "", 10**16, "1\n"],
    "replicas": [1001, -1, "2", 2.0, 2.5],
}  # fmt: skip
BYTES_RIGHT: list[Any] = [
    1,
    "1",
    "999999Ti",
    "1.001Ki",
    "1048576Ki",
    "128Mi",
    "1Gi",
    "1.5Gi",
    "0.5Ki",
    "1M",
]
BYTES_WRONG: list[Any] = ["1000000Ti", "100m", "-1", "1P", "", "x", 0]

ONE_OF = (
    {"persistentVolumeClaim", "configMap", "emptyDir"},
    {"secretKeyRef", "configMapKeyRef"},
    {"value", "valueFrom"},
    {"requests", "limits"},
)
"""Fields of which a right object has one."""

SPEC: Object = crd()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]


@st.composite
def servers(draw: st.DrawFn, wrong: st.SearchStrategy[int] | None = None) -> Object:
    """An McpServer named `web`.

    Args:
        draw: Given by hypothesis.
        wrong: How many in a hundred of its values are wrong; by default none in half of all.
    """
    rate = draw(st.sampled_from([0, 0, 6]) if wrong is None else wrong)
    spec = draw(_values(SPEC, "", rate))
    if not rate:
        _complete(spec)
    return {
        "apiVersion": "breakwater.dev/v1alpha1",
        "kind": "McpServer",
        "metadata": {"name": "web", "namespace": "default"},
        "spec": spec,
    }


def _complete(spec: Object) -> None:
    """Make one backend of it, and give each mount a volume and each list one item per key."""
    spec["backends"] = spec["backends"][:1]
    python = spec["backends"][0]["python"]
    for field, key, holder in (
        ("env", "name", python),
        ("volumeMounts", "mountPath", python),
        ("volumes", "name", spec.get("pod", {})),
    ):
        if field in holder:
            holder[field] = list({item[key]: item for item in holder[field]}.values())
    mounted = {mount["name"] for mount in python.get("volumeMounts", ())}
    if mounted:
        volumes = spec.setdefault("pod", {}).setdefault("volumes", [])
        known = {volume["name"] for volume in volumes}
        volumes += [{"name": name, "emptyDir": {}} for name in sorted(mounted - known)]


@st.composite
def _values(draw: st.DrawFn, schema: Object, name: str, rate: int) -> Any:
    is_wrong = bool(name) and draw(st.integers(1, 100)) <= rate
    if is_wrong and draw(st.booleans()):
        return draw(st.sampled_from(JUNK))
    if "properties" in schema:
        return draw(_objects(schema, rate))
    if "items" in schema:
        items = _values(schema["items"], "", rate)
        return draw(st.lists(items, min_size=schema.get("minItems", 0), max_size=2))
    return draw(_leaves(schema, name, is_wrong=is_wrong))


@st.composite
def _objects(draw: st.DrawFn, schema: Object, rate: int) -> Object:
    fields = schema["properties"]
    chosen = [
        name
        for name in fields
        if name in schema.get("required", ()) or draw(st.integers(1, 100)) <= 40
    ]
    if not rate:
        for group in ONE_OF:
            if members := sorted(group & fields.keys()):
                one = draw(st.sampled_from(members))
                chosen = [name for name in chosen if name not in group] + [one]
    elif draw(st.integers(1, 100)) <= rate:
        chosen = chosen[1:]
    found = {name: draw(_values(fields[name], name, rate)) for name in chosen}
    if draw(st.integers(1, 100)) <= rate:
        found["bogus"] = 1
    return found


def _leaves(schema: Object, name: str, *, is_wrong: bool) -> st.SearchStrategy[Any]:
    if "enum" in schema:
        return st.sampled_from(["Other"] if is_wrong else schema["enum"])
    if schema.get("x-kubernetes-int-or-string") and name != "cpu":
        return st.sampled_from(BYTES_WRONG if is_wrong else BYTES_RIGHT)
    if schema.get("type") == "boolean":
        return st.sampled_from(["true"]) if is_wrong else st.booleans()
    return st.sampled_from((WRONG if is_wrong else RIGHT).get(name, ["value", "$(X)"]))
