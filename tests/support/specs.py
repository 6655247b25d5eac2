"""McpServers that hypothesis makes up: most of them nearly right."""

from typing import Any

from hypothesis import strategies as st

from breakwater_operator.api.crd import crd

Object = dict[str, Any]

JUNK: list[Any] = [None, True, 0, -1, 1.5, "", "x", "2", [], {}, [None], ["x"], {"x": 1}]

SAMPLES: dict[str, list[Any]] = {
    "name": ["data", "scratch", "main", "breakwater", "Bad_name", "x" * 64, "a.b"],
    "mountPath": [
        "/data", "/data/x", "/a b", "/tmp", "/etc", "/etc/breakwater/x", "/a/../b", "/a/./b",
        "/a/..b", "/srv/", "//x", "data", "/a:b", "/é",
    ],
    "subPath": ["a", "a/b", "..a/b", "../a", "a/..", "/a", "."],
    "path": ["a", "a/b", "../a", "a/..", "/a"],
    "image": ["registry.example/a:1", f"a/b@sha256:{'0' * 64}", "bad image", "-x", ""],
    "server": ["weather.main:mcp", "main", "a:b.c", ":x"],
    "secretName": ["keys", "web-keys", "web-live", "Keys"],
    "cpu": [0, 1, 2, "1", "500m", "1.5", "0.1234", "-1", -1, "1e3", "1Ki", "", 10**16, "1\n"],
    "replicas": [0, 1, 2, 1000, 1001, -1, "2", 2.0, 2.5],
}  # fmt: skip
BYTES: list[Any] = [0, 1, "1", "128Mi", "1Gi", "1.5Gi", "0.5Ki", "1M", "100m", "-1", "1P", "", "x"]

SPEC: Object = crd()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]


@st.composite
def servers(draw: st.DrawFn) -> Object:
    """An McpServer named `web`; about half of them have values of wrong types in them too."""
    junk = draw(st.sampled_from([0, 0, 4]))
    return {
        "apiVersion": "breakwater.dev/v1alpha1",
        "kind": "McpServer",
        "metadata": {"name": "web", "namespace": "default"},
        "spec": draw(_values(SPEC, "spec", junk)),
    }


@st.composite
def _values(draw: st.DrawFn, schema: Object, name: str, junk: int) -> Any:
    """A value of a schema, or with a chance of `junk` in a hundred, anything."""
    if name != "spec" and draw(st.integers(1, 100)) <= junk:
        return draw(st.sampled_from(JUNK))
    if "properties" in schema:
        return draw(_objects(schema, junk))
    if "items" in schema:
        items = _values(schema["items"], "", junk)
        return draw(st.lists(items, min_size=schema.get("minItems", 0), max_size=2))
    return draw(_leaves(schema, name))


@st.composite
def _objects(draw: st.DrawFn, schema: Object, junk: int) -> Object:
    found = {}
    for name, field in schema["properties"].items():
        required = name in schema.get("required", ())
        if draw(st.integers(1, 100)) <= (98 if required else 35):
            found[name] = draw(_values(field, name, junk))
    if draw(st.integers(1, 100)) <= junk:
        found["bogus"] = 1
    return found


def _leaves(schema: Object, name: str) -> st.SearchStrategy[Any]:
    if "enum" in schema:
        return st.sampled_from([*schema["enum"], "Other"])
    if schema.get("x-kubernetes-int-or-string"):
        return st.sampled_from(SAMPLES["cpu"] if name == "cpu" else BYTES)
    if schema["type"] == "boolean":
        return st.booleans()
    known = st.sampled_from(SAMPLES.get(name, ["value", "", "$(X)"]))
    if "pattern" not in schema:
        return known
    shaped = st.from_regex(schema["pattern"], fullmatch=True)
    return st.one_of(known, known, shaped.filter(lambda text: len(text) <= schema["maxLength"]))
