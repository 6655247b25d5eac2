"""Names that both halves use: ports, paths in the pod, labels, annotations, principals."""

API_GROUP = "breakwater.dev"

PRINCIPAL = r"^[a-zA-Z0-9][-._a-zA-Z0-9]*$"
"""What a principal of the key Secret may be called: a data key that does not start with a dot."""

PUBLIC_PORT = 8080
PUBLIC_PORT_NAME = "http-mcp"
MANAGEMENT_PORT = 9464
MANAGEMENT_PORT_NAME = "metrics"
INTERNAL_PORT = 9465
INTERNAL_PORT_NAME = "internal"
"""Where a pod takes what another one of the same server passes on."""

FORWARD_VERSION = 1
"""The protocol between pods that we speak; every pod says in its session ids which one it takes."""
FORWARD_OLDEST = 1
"""The oldest one that we still take. Pods of two releases serve side by side while an upgrade rolls
out, so a new version is taken by one release before the next one drops the old."""

MCP_PATH = "/mcp"
"""Streamable HTTP; and, by body and `Accept`, one call answered as NDJSON."""

SSE_PATH = "/mcp/sse"
MESSAGES_PATH = "/mcp/messages"
"""HTTP+SSE, the transport of 2024-11-05: the stream, and where its client posts to."""

RPC_PATH = "/rpc"
"""JSON-RPC 2.0 without a transport of MCP around it."""

TOOLS_PATH = "/tools"
TOOL_PATH = "/tools/{name}"
ONE_SHOT_PATH = "/sse"
"""Tools as plain HTTP: the list, one call by its name, one call as a stream of events."""

CAPABILITIES_PATH = "/capabilities"
"""What the server is and which of these are open."""

DRAIN_OPEN_SECONDS = 5
"""How long a pod that was told to stop still takes connections.

Endpoints still name it for a moment after the signal; a connection refused in that moment would be
an error that a client sees.
"""

HEALTH_LIVE_PATH = "/health/live"
HEALTH_READY_PATH = "/ready"
HEALTH_PATH = "/health"
METRICS_PATH = "/metrics"
PROFILE_PATH = "/profile"
"""Only where the process was started to be profiled."""

CONFIG_DIRECTORY = "/etc/breakwater"
"""Where the pod mounts its settings."""

CONFIG_FILE = "config.json"
"""In that folder: the settings that belong to the pod's identity (`RuntimeSettings`)."""

LIVE_FILE = "live.json"
"""In that folder: the settings that a running pod takes over (`LiveSettings`)."""

KEYS_DIRECTORY = "/etc/breakwater-keys"
"""Where the pod mounts its keys: one file per principal, one key per line. A
folder of their own, since a volume that puts several sources together would have to name each key,
and a new principal would mean new pods."""

HASH_KEY_FILE = ".hash-key"
"""Among the keys: the random key under which `live_hash` hashes. No principal starts with a dot."""

INTERNAL_DIRECTORY = "/etc/breakwater-internal"
"""Where the pod mounts what it shares with the other pods of its server, and with nobody else."""

RING_FILE = "ring.json"
"""In that folder: the keys that seal session ids (`KeyRing`)."""

INTERNAL_CA_FILE = "ca.crt"
INTERNAL_CERTIFICATE_FILE = "tls.crt"
INTERNAL_KEY_FILE = "tls.key"
INTERNAL_FILES = (RING_FILE, INTERNAL_CA_FILE, INTERNAL_CERTIFICATE_FILE, INTERNAL_KEY_FILE)

INTERNAL_HASHED = ".internal/"
"""What stands before the names of these files in the live hash; no principal starts with a dot."""

CERTIFICATE_FILE = ".tls.crt"
PRIVATE_KEY_FILE = ".tls.key"
"""Among the keys, where the pods end TLS: the certificate with its chain, and its key."""

RUN_AS = 65532
"""User, group and fsGroup of every container we build."""

SETTINGS_ANNOTATION = f"{API_GROUP}/settings"
"""Pod annotation that holds config.json; the pod reads it through the downward API, so that the
settings of a pod's identity are part of its template and can never be newer or older than it."""

LIVE_ANNOTATION = f"{API_GROUP}/live"
"""Pod annotation with the hash of the newest live settings; writing it makes kubelet refresh the
pod's volume at once."""

SERVER_LABEL = f"{API_GROUP}/server"
SLOT_LABEL = f"{API_GROUP}/slot"
REVISION_LABEL = f"{API_GROUP}/revision"

OPERATOR_PRINCIPAL = "breakwater:operator"
"""Who the operator is when it speaks to a server."""

JWT_PRINCIPAL_PREFIX = "jwt:"
"""Before the name that an OAuth token gives: no principal of the key Secret contains a colon."""

UNAUTHENTICATED_PRINCIPAL = "unauthenticated"
"""Who callers without a credential are, where they are let in; no key can have this principal."""

CLUSTER_ISSUER = "https://kubernetes.default.svc.cluster.local"
"""Who makes the tokens of service accounts, in a cluster that does not say otherwise."""

OPERATOR_ISSUER = "breakwater-operator"
OPERATOR_SCOPES = ("server.discover", "tools.list")
OPERATOR_SIGNATURE = "EdDSA"
"""Signature algorithm of the operator's tokens, as JOSE names it (RFC 8037)."""
OPERATOR_TOKEN_SECONDS = 60
"""Lifetime of the operator's token: longer than any clock skew that pods are allowed to have,
short enough that a stolen one is worth little."""


def internal_host(server_uid: str) -> str:
    """Name the host that every pod's internal certificate is for.

    Pods come and go, and with them their addresses; what a certificate says is whose pod it is.
    """
    return f"{server_uid or 'server'}.breakwater.internal"
