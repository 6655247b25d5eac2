"""Files of manifests that kubectl takes, some of them unlikely.

A test on a cluster asks kubectl, and one without holds the command line to it.
"""

HEAD = """apiVersion: breakwater.dev/v1alpha1
kind: McpServer
metadata: {name: weather}
"""
SERVER = f"""{HEAD}spec:
  backends: [{{python: {{server: "weather.main:mcp"}}}}]
"""
JSON = """{
\t"apiVersion": "breakwater.dev/v1alpha1", "kind": "McpServer", "metadata": {"name": "weather"},
\t"spec": {"replicas": 2.0, "backends": [{"python": {"server": "a:b"}}]}
}
"""
ITEM = SERVER.replace("\n", "\n  ")


def annotated(text: str) -> str:
    """A server with something for the value of an annotation."""
    return f"{SERVER}  pod: {{annotations: {{x: {text}}}}}\n"


def metadata(text: str) -> str:
    return SERVER.replace("{name: weather}", f"{{name: weather, {text}}}")


def beside(text: str) -> str:
    return f"{SERVER}---\n{text}\n"


TAKEN = {
    "line-ends-of-windows": SERVER.replace("\n", "\r\n"),
    "empty-documents": f"---\n{SERVER}---\n---\n# nothing\n---\n",
    "list": f"apiVersion: v1\nkind: List\nitems:\n- {ITEM}\n",
    "list-of-servers": (
        f"apiVersion: breakwater.dev/v1alpha1\nkind: McpServerList\nitems:\n- {ITEM}\n"
    ),
    "json-with-tabs": JSON,
    "empty-fields": f"{SERVER}  pod:\n  replicas: null\n  access:\n",
    "empty-metadata": metadata("namespace: , labels: "),
    "as-kubectl-gets-it": metadata("uid: 5f, creationTimestamp: null"),
    "keys-that-are-no-text": metadata("annotations: {1: a, yes: b}"),
    "whole-float": f"{SERVER}  replicas: 2.0\n",
    "octal": f"{SERVER}  replicas: 0o10\n",
    "y-is-true": f"{SERVER}  suspend: y\n",
    "time": annotated("2027-01-31T10:00:00Z"),
    "minutes": annotated("1:30"),
    "equals-sign": annotated("="),
    "unknown-tag": annotated("!Ref y"),
    "binary": annotated("!!binary aGVsbG8="),
    "timestamp": annotated("!!timestamp 2027-01-31"),
    "alias": f"{SERVER}  pod: {{labels: &a {{x: z}}, annotations: *a}}\n",
    "base64-in-lines": beside(
        '{apiVersion: v1, kind: Secret, metadata: {name: s}, data: {a: "aGVs\\nbG8=", b: }}'
    ),
}
"""By what is special about them; each has the McpServer weather, and no other."""
