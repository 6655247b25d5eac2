"""The golden cases: an McpServer in one file, and beside it the children it is rendered to."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from breakwater_contract.names import CERTIFICATE_FILE, PRIVATE_KEY_FILE
from breakwater_contract.settings import OperatorKey
from breakwater_operator.api.models import McpServer
from breakwater_operator.api.platform import Platform
from breakwater_operator.kube.kinds import OPTIONAL
from breakwater_operator.render import (
    Claim,
    Intent,
    Issuer,
    children,
    revision,
    ring,
    secrets,
    sources,
)
from breakwater_operator.render.rate_store import (
    AUTHORITY_FILE,
    PASSWORD_FILE,
    StoreCredentials,
)
from breakwater_operator.render.serving_certificate import ServingCertificate

FOLDER = "tests/golden"
PLATFORM = Platform.parse(
    {
        "namespace": "breakwater-system",
        "images": {"runtime": "registry.example/breakwater-runtime:0.1.0"},
        "monitoring": {
            "labels": {"release": "prometheus"},
            "otlp": {"endpoint": "http://collector.telemetry.svc:4318"},
        },
        "sharedRates": {"address": "valkey.platform.svc:6379", "tls": True, "secretName": "rates"},
        "network": {
            "gateways": [{"namespaceLabels": {"kubernetes.io/metadata.name": "infra"}}],
            "egress": [
                {
                    "namespaceLabels": {"kubernetes.io/metadata.name": "telemetry"},
                    "ports": [{"port": 4317}],
                }
            ],
        },
    }
)
OPERATOR_KEY = OperatorKey(kid="k1", public_key="-----BEGIN PUBLIC KEY-----\n(one of the tests)\n")
ISSUER = Issuer("https://kubernetes.example", '{"keys":[{"kid":"k1","kty":"OKP"}]}')
NOW = datetime(2026, 11, 21, 9, tzinfo=UTC)
SEED = bytes(range(32))
FRESH = bytes(reversed(range(32)))


@dataclass(frozen=True)
class Case:
    """One golden case."""

    path: str
    """Its folder, relative to the repository."""
    documents: tuple[dict[str, Any], ...]
    """The McpServer, and the objects that it refers to."""

    def children(self) -> tuple[dict[str, Any], ...]:
        """Render the children."""
        server = McpServer.parse(self._find("McpServer"))
        source = next((it for it in self.documents if it["kind"] == "Secret"), None)
        keys = secrets.resolve(server, source, None, SEED, FRESH)
        found = {(one["kind"], one["metadata"]["name"]): one for one in self.documents}
        read = sources.resolve(sources.consumed(server), found, keys.hash_key, ())
        return children(
            Intent(
                server=server,
                platform=PLATFORM,
                revision=revision.current(server, PLATFORM, (), read),
                keys=keys,
                ring=ring.first(server, NOW, FRESH),
                operator_keys=(OPERATOR_KEY,),
                claims={
                    claim["metadata"]["name"]: Claim(tuple(claim["spec"]["accessModes"]))
                    for claim in self.documents
                    if claim["kind"] == "PersistentVolumeClaim"
                },
                issuer=ISSUER,
                certificate=_certificate(server),
                rate_store=StoreCredentials({PASSWORD_FILE: b"hush", AUTHORITY_FILE: b"pem"}),
                kinds=frozenset(kind.name for kind in OPTIONAL),
            )
        )

    def _find(self, kind: str) -> dict[str, Any]:
        return next(document for document in self.documents if document["kind"] == kind)


def _certificate(server: McpServer) -> ServingCertificate:
    """A stand-in for what the Secret of this name holds."""
    if server.tls is None:
        return ServingCertificate({})
    name = str(server.certificate_secret).encode()
    return ServingCertificate({CERTIFICATE_FILE: name, PRIVATE_KEY_FILE: name})


def cases(root: Path) -> list[Case]:
    """Read every case."""
    files = sorted((root / FOLDER).glob("*/mcpserver.yaml"))
    return [
        Case(
            f"{FOLDER}/{file.parent.name}",
            tuple(yaml.safe_load_all(file.read_text())),
        )
        for file in files
    ]
