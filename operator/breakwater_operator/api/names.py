"""What the children of an McpServer are called, and by what they are found."""

from breakwater_contract.names import MCP_PATH, PUBLIC_PORT, SERVER_LABEL, SLOT_LABEL

MANAGER = "breakwater"
"""Field manager of the children, and the value of `app.kubernetes.io/managed-by`."""

STATUS_MANAGER = "breakwater-status"
"""Field manager of the status; apart, so that applying one never drops fields of the other."""

FIRST_SLOT = "a"
"""The slot of a server's first Deployment."""

GENERATED_KEY = "default"
"""The principal of the key that is generated where the user names no Secret."""


def key_secret(server: str) -> str:
    """Name the Secret with the generated key."""
    return f"{server}-keys"


def live(server: str) -> str:
    """Name the ConfigMap and the Secret whose content running pods take over."""
    return f"{server}-live"


def internal(server: str) -> str:
    """Name the Secret that the pods of a server share."""
    return f"{server}-internal"


def deployment(server: str, slot: str) -> str:
    """Name the Deployment of one slot."""
    return f"{server}-{slot}"


def controller_revision(server: str, revision: str) -> str:
    """Name the object that keeps the rendered intent of one revision."""
    return f"{server}-{revision}"


def slot_labels(server: str, slot: str) -> dict[str, str]:
    """Labels that select the pods of one slot, and only these."""
    return {SERVER_LABEL: server, SLOT_LABEL: slot}


def selector(labels: dict[str, str]) -> str:
    """Write labels as a selector, as in `a=b,c=d`."""
    return ",".join(f"{key}={value}" for key, value in sorted(labels.items()))


def url(server: str, namespace: str) -> str:
    """Where clients inside the cluster find the server."""
    return f"http://{server}.{namespace}.svc:{PUBLIC_PORT}{MCP_PATH}"
