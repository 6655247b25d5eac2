"""What the children of an McpServer are called, and by what they are found."""

from breakwater_contract.names import MCP_PATH, PUBLIC_PORT, SERVER_LABEL, SLOT_LABEL

MANAGER = "breakwater"
"""Field manager of the children, and the value of `app.kubernetes.io/managed-by`."""

STATUS_MANAGER = "breakwater-status"
"""Field manager of the status; apart, so that applying one never drops fields of the other."""

REPLICAS_MANAGER = "breakwater-replicas"
"""Field manager that holds the number of pods while it is handed over to an autoscaler."""

FIRST_SLOT = "a"
"""The slot of a server's first Deployment."""

GENERATED_KEY = "default"
"""The principal of the key that is generated where the user names no Secret."""


def key_secret(server: str) -> str:
    """Name the Secret with the generated key."""
    return f"{server}-keys"


def certificate(server: str) -> str:
    """Name the Secret that cert-manager writes."""
    return f"{server}-tls"


def metrics(server: str) -> str:
    """Name the Service behind which all pods of a server are scraped."""
    return f"{server}-metrics"


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


def url(server: str, namespace: str, *, tls: bool = False) -> str:
    """Where clients inside the cluster find the server."""
    return f"{'https' if tls else 'http'}://{server}.{namespace}.svc:{PUBLIC_PORT}{MCP_PATH}"
