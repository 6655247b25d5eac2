"""McpServers that hypothesis makes up: right ones, and ones with something wrong in them."""

from typing import Any

from hypothesis import strategies as st

from breakwater_contract.units import Duration, Quantity
from breakwater_operator.api.crd import crd

Object = dict[str, Any]

JUNK: list[Any] = [None, True, 0, -1, 1.5, "", "x", "2", [], {}, [None], ["x"], {"x": 1}]

RIGHT: dict[str, list[Any]] = {
    "name": ["data", "scratch", "main"],
    "mountPath": ["/data", "/data/x", "/a b", "/a/..b", "/a/...", "/é"],
    "writable": ["/data", "/var/lib/x"],
    "subPath": ["a", "a/b", "..a/b", "..."],
    "path": ["a", "a/b", ".a"],
    "image": ["registry.example/a:1", f"a/b@sha256:{'0' * 64}"],
    "server": ["weather.main:mcp", "main:mcp"],
    "secretName": ["keys", "web"],
    "claimName": ["data", "a.b-c.d"],
    "key": ["value", "_a.B-c", "0"],
    "cpu": [1, 2, "1", "500m", "1.5", "0.125"],
    "replicas": [0, 1, 2, 1000],
    "origins": ["https://chat.example", "http://[::1]:8080", "https://a-b.example:444"],
    "hosts": ["mcp.example", "mcp.example:8443", "[2001:db8::1]"],
    "issuer": ["https://id.example", "https://id.example:8443/realms/a@b", "http://localhost:80"],
    "jwksUrl": ["https://id.example/keys", "http://127.0.0.1/a"],
    "publicUrl": ["https://mcp.example/mcp", "http://[::1]:1/x"],
    "scopes": ["crm.read", "a:b", "!"],
    "until": [
        "2027-01-31",
        "2028-02-29",
        "2000-02-29",
        "2027-01-31T18:00:00Z",
        "2027-01-31T18:00:00+05:30",
    ],
    "networks": [
        "10.0.0.0/8",
        "10.0.0.1",
        "0.0.0.0/0",
        "::/0",
        "fd00::/8",
        "2001:db8::1",
        "10.1.2.3/32",
    ],
    "durations": ["500ms", "30s", "1h30m", "1.5s", "0.05s"],
    "period": ["1s", "30s", "30m"],
    "stabilization": ["0s", "1h", "1.5s"],
    "scrapeInterval": ["1s", "15s", "1h"],
    "maxUnavailable": [0, 1, "25%", "100%", "0%"],
    "minAvailable": [1, "50%"],
    "host": ["mcp.example", "a"],
    "gateway": ["infra/public", "a/b.c"],
    "values": ["a", ""],
    "priorityClassName": ["important"],
    "operatorClass": ["blue", "a.b"],
    "ingressClassName": ["nginx"],
    "sizes": ["1", "512Ki", "1Mi", "1.5Gi", "2G"],
    "url": ["https://mcp.example/mcp", "https://crm.team-a.svc:8443/x"],
    "header": ["Authorization", "X-API-Key"],
    "scheme": ["Bearer", ""],
    "prefix": ["crm_", ""],
    "rename": ["fetch", "a.b/c"],
    "expected": ["get", "list_all"],
}
NETWORKS = {"addresses", "allow", "deny", "trustedProxies", "cidr", "except"}
WRONG: dict[str, list[Any]] = {
    "name": ["breakwater", "Bad_name", "x" * 64, "a.b", "data"],
    "mountPath": [
        "/tmp", "/etc", "/etc/breakwater/x", "/a/../b", "/a/./b", "/srv/", "//x", "data", "/a:b",
    ],
    "writable": ["/tmp", "/a/../b", "/opt/breakwater/bin", "srv"],
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
    "cpu": ["0.1234", "-1", -1, "1e3", "1Ki", "", 10**16, 10**6, "1\n"],
    "replicas": [1001, -1, "2", 2.0, 2.5],
    "origins": ["https://Chat.example", "https://a/", "chat.example", "", "https://a b"],
    "hosts": ["MCP.example", "a/b", ""],
    "issuer": ["http://id.example", "https://id.example?x", "https://a@b", "https://", "ftp://a"],
    "jwksUrl": ["file:///etc/passwd", "https://a/é"],
    "publicUrl": ["mcp.example", "https://a/b#c"],
    "scopes": ["a b", 'a"b', "", "é"],
    "until": [
        "2027-02-29", "2100-02-29", "2027-04-31", "2027-1-31", "1999-01-01", "soon", "20270131",
        "2027-01-31T18:00:00", "2027-01-31T24:00:00Z", "2027-01-31T18:00:60Z", "2027-01-31 18:00Z",
    ],
    "networks": [
        "10.0.0.1/8", "10.0.0.0/33", "10.0.0.0/08", "10.0.0", "010.0.0.1", "::ffff:10.0.0.1",
        "::ffff:10.0.0.0/104", "10.0.0.0/255.0.0.0", "fe80::1%eth0", "x", "", "1::2::3",
    ],
    "durations": ["1", "1 s", "-1s", "1d", "", "s", "1s\n", "0s", "0h0.0m"],
    "period": ["0s", "31m", "1"],
    "stabilization": ["1h1s", "-1s"],
    "scrapeInterval": ["999ms", "2h"],
    "maxUnavailable": [-1, 1001, "25", "101%", "007%", ""],
    "minAvailable": ["1", "a%"],
    "host": ["MCP.example", "*.example", "", "10.0.0.1"],
    "gateway": ["public", "a/b/c", "A/b", "/b"],
    "values": ["a b", "x" * 64],
    "priorityClassName": ["system-node-critical", "A"],
    "sizes": ["1 Mi", "-1", "1m", "", "1P", "0", "0.0Mi"],
    "url": ["http://mcp.example/mcp", "https://a?x=1", "ftp://a", "https://u@a/x", ""],
    "header": ["a b", ""],
    "scheme": ["a b", "é"],
    "prefix": ["a b", "x" * 65],
    "rename": ["a b", ""],
    "expected": ["a b", ""],
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
    {"maxUnavailable", "minAvailable"},
    {"cidr", "namespaceLabels"},
    {"issuer", "secretName"},
    {"gateway", "ingressClassName"},
    {"python", "container", "remote"},
    {"credential", "tokenExchange"},
    {"text", "number", "flag", "texts"},
    {"stdio", "port"},
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
    first, *others = spec["backends"]
    remotes = {
        it.get("name", "main"): it
        for it in others
        if "remote" in it and it.get("name", "main") != first.get("name", "main")
    }
    spec["backends"] = [first, *remotes.values()]
    for each in spec["backends"]:
        _mend_tools(each.get("tools", {}))
    backend = _kind(first)
    access = spec.get("access", {})
    placement = spec.get("pod", {}).get("placement", {})
    _mend(spec, placement)
    for policy in access.get("policies", ()):
        policy.setdefault("tools", ["*"])
        if policy["effect"] == "Deny":
            policy.pop("scopes", None)
    if access.get("insecureAnonymous"):
        access.pop("permissive", None)
    for field, key, holder in (
        ("env", "name", backend),
        ("volumeMounts", "mountPath", backend),
        ("volumes", "name", spec.get("pod", {})),
        ("policies", "name", access),
        ("topologySpread", "topologyKey", placement),
    ):
        if field in holder:
            holder[field] = list({item[key]: item for item in holder[field]}.values())
    mounted = {mount["name"] for mount in backend.get("volumeMounts", ())}
    if mounted:
        volumes = spec.setdefault("pod", {}).setdefault("volumes", [])
        known = {volume["name"] for volume in volumes}
        volumes += [{"name": name, "emptyDir": {}} for name in sorted(mounted - known)]


def _kind(backend: Object) -> Object:
    """Find what a backend consists of, and take away what does not fit the rest of it."""
    kind: Object = backend.get("python") or backend.get("container") or backend["remote"]
    if "stdio" in kind:
        for name in ("path", "command", "args"):
            kind.pop(name, None)
        kind["stdio"] = kind["stdio"] or ["server"]
    return kind


def _mend_tools(tools: Object) -> None:
    overrides = {it["name"]: it for it in tools.get("overrides", ())}.values()
    if overrides:
        tools["overrides"] = list(overrides)
    for number, override in enumerate(overrides):
        if number:
            override.pop("rename", None)
        if "arguments" in override:
            found = {it["name"]: it for it in override["arguments"]}
            override["arguments"] = list(found.values())


def _mend_placement(placement: Object) -> None:
    for node in (*placement.get("requiredNodes", ()), *placement.get("preferredNodes", ())):
        node |= {"operator": "In", "values": ["a", *node.get("values", ())]}
    for toleration in placement.get("tolerations", ()):
        toleration |= {"operator": "Exists", "effect": "NoExecute"}
        toleration.pop("value", None)


def _mend(spec: Object, placement: Object) -> None:
    """Make parts fit each other that were chosen each for itself."""
    _mend_placement(placement)
    scaling = spec.get("autoscaling", {})
    if scaling:
        low, high = scaling.get("min", 2), scaling.get("max", 10)
        scaling["min"], scaling["max"] = min(low, high), max(low, high)
    for pace in (scaling.get("scaleUp"), scaling.get("scaleDown")):
        if pace is not None:
            pace.setdefault("pods", 1)
    for rule in spec.get("egressRules", ()):
        if "except" in rule:
            rule |= {"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"]}
        if "cidr" in rule:
            rule.pop("namespaceLabels", None)
            rule.pop("podLabels", None)
        for port in rule.get("ports", ()):
            port.pop("endPort", None)
    certificate = spec.get("expose", {}).get("certificate", {})
    if "issuer" not in certificate:
        certificate.pop("issuerKind", None)
    certificate.pop("minVersion", None)


@st.composite
def _values(draw: st.DrawFn, schema: Object, name: str, rate: int) -> Any:
    is_wrong = bool(name) and draw(st.integers(1, 100)) <= rate
    if is_wrong and draw(st.booleans()):
        return draw(st.sampled_from(JUNK))
    if "properties" in schema:
        return draw(_objects(schema, rate))
    if "items" in schema:
        items = _values(schema["items"], name, rate)
        return draw(st.lists(items, min_size=schema.get("minItems", 0), max_size=2))
    if "additionalProperties" in schema:
        values = _values(schema["additionalProperties"], "", rate)
        keys = st.sampled_from(
            ["", "x" * 129, "a b", "a/b/c", "kubernetes.io/x"] if is_wrong else ["search", "a.b"]
        )
        return draw(st.dictionaries(keys, values, max_size=2))
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
    if schema.get("x-kubernetes-int-or-string") and name not in RIGHT:
        return st.sampled_from(BYTES_WRONG if is_wrong else BYTES_RIGHT)
    if schema.get("type") == "boolean":
        return st.sampled_from(["true"]) if is_wrong else st.booleans()
    if schema.get("type") == "integer" and name != "replicas":
        low, high = schema["minimum"], schema["maximum"]
        return st.sampled_from([low - 1, high + 1, "2"] if is_wrong else [low, low + 1, high])
    return st.sampled_from(
        (WRONG if is_wrong else RIGHT).get(_sort(schema, name), ["value", "$(X)"])
    )


def _sort(schema: Object, name: str) -> str:
    """What kind of text a field holds: by its name, or by what is said where it is wrong."""
    if name in NETWORKS:
        return "networks"
    if name in RIGHT:
        return name
    said = [rule["message"] for rule in schema.get("x-kubernetes-validations", ())]
    kinds = {Duration.WANTED: "durations", Quantity.WANTED: "sizes"}
    return next((kinds[one] for one in said if one in kinds), name)
