"""Breakwater as users install it: built images, the chart, a real node."""

from __future__ import annotations

import base64
import json
import socket
import subprocess
import sys
import uuid
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, urlsplit

import httpx2
import pytest
import yaml
from mcp.client import Client
from mcp.client.streamable_http import streamable_http_client
from mcp_types import CreateMessageRequestParams, CreateMessageResult, TextContent

from dev.cluster.build import HELM
from dev.demo import chart_arguments
from tests.support.cluster import RunningCluster, eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

ROOT = Path(__file__).parents[2]
SYSTEM = "breakwater-system"
KIND = "mcpservers.breakwater.dev"
READY_SECONDS = 120
RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}


@dataclass(frozen=True)
class Installation:
    """A cluster with a node on which the operator runs."""

    cluster: RunningCluster
    images: dict[str, dict[str, Any]]

    def image(self, name: str) -> str:
        """Build an image that is only built where it is asked for; give its name in the cluster."""
        built = _built(name)[name]
        self.cluster.load(built["tar"])
        return str(built["ref"])

    def upgrade(self, **platform: Any) -> None:
        """Install the chart, or upgrade it to other choices of the platform's owner."""
        helm = self.cluster.cluster.program(HELM) / "helm"
        command = [str(helm), "--kubeconfig", str(self.cluster.kubeconfig)]
        chart = [*chart_arguments(self.images), "--set-json", f"platform={json.dumps(platform)}"]
        wait = ["--namespace", SYSTEM, "--wait", "--timeout", f"{READY_SECONDS}s"]
        subprocess.run(
            [*command, "upgrade", "--install", "breakwater", *chart, *wait],
            check=True,
            stdout=subprocess.DEVNULL,
        )

    def namespace(self, name: str) -> str:
        """Make a namespace that lets in only hardened pods."""
        metadata = {"name": name, "labels": RESTRICTED}
        self.cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
        return name

    @contextmanager
    def team(self, purpose: str) -> Iterator[str]:
        """Give a new namespace of that kind until the end of the block."""
        suffix = uuid.uuid4().hex[:6]  # noqa: TID251 - it has to be new, not known
        name = self.namespace(f"{purpose}-{suffix}")
        yield name
        self.cluster.kubectl("delete", "namespace", name, "--wait=false")

    @contextmanager
    def weather(self, purpose: str, **spec: Any) -> Iterator[str]:
        """Run the example of a server in Python in a namespace of its own."""
        (manifest,) = manifests("examples/python-server/mcpserver.yaml")
        runtime = {"image": self.images["python-server"]["ref"]}
        manifest["spec"] |= {"runtime": runtime, **spec}
        with self.team(purpose) as name:
            self.apply(name, manifest)
            self.wait_ready(name, "weather")
            yield name

    def apply(self, namespace: str, *manifests: dict[str, Any]) -> None:
        """Apply manifests to a namespace."""
        for manifest in manifests:
            self.cluster.kubectl("apply", "-n", namespace, "-f", "-", stdin=json.dumps(manifest))

    def server(self, namespace: str, name: str) -> dict[str, Any]:
        """Read an McpServer."""
        found: dict[str, Any] = self.cluster.get("-n", namespace, f"{KIND}/{name}")
        return found

    def condition(self, namespace: str, name: str, kind: str) -> dict[str, Any]:
        """Read one condition; empty while there is none."""
        conditions = self.server(namespace, name).get("status", {}).get("conditions", [])
        return next((each for each in conditions if each["type"] == kind), {})

    def wait_ready(self, namespace: str, name: str) -> None:
        """Wait as a user would, and show the status where that is in vain."""
        wait = ("wait", "-n", namespace, f"{KIND}/{name}", "--for=condition=Ready")
        if not self.cluster.kubectl(*wait, f"--timeout={READY_SECONDS}s", check=False):
            status = yaml.safe_dump(self.server(namespace, name).get("status"))
            pods = self.cluster.kubectl("describe", "pods", "-n", namespace)
            pytest.fail(f"{name} is not Ready\n{status}\n{pods[-3000:]}", pytrace=False)
        self.wait_reached(namespace, name)

    def wait_reached(self, namespace: str, name: str) -> None:
        """Wait until the Service leads to a pod: kube-proxy hears of it when everybody does."""
        url = urlsplit(self.base_url(namespace, name))
        eventually(lambda: listens(url), f"{name} is reached", seconds=READY_SECONDS)

    def key(self, namespace: str, name: str) -> str:
        """Read the generated key, as a user would."""
        secret = self.cluster.get("-n", namespace, f"secret/{name}-keys")
        return base64.b64decode(secret["data"]["default"]).decode().split()[0]

    def base_url(self, namespace: str, name: str) -> str:
        """Say where the Service answers."""
        service = self.cluster.get("-n", namespace, f"service/{name}")
        return f"http://{service['spec']['clusterIP']}:8080"

    @asynccontextmanager
    async def client(
        self, namespace: str, name: str, mode: str = "auto", **options: Any
    ) -> AsyncIterator[Client]:
        """Connect the MCP SDK's client through the Service."""
        headers = {"X-API-Key": self.key(namespace, name)}
        async with httpx2.AsyncClient(headers=headers, timeout=30) as http:
            url = f"{self.base_url(namespace, name)}/mcp"
            transport = streamable_http_client(url, http_client=http)
            async with Client(transport, mode=mode, **options) as client:
                yield client


def listens(url: SplitResult) -> bool:
    """Whether somebody takes a connection there."""
    try:
        socket.create_connection((url.hostname, url.port), timeout=5).close()
    except OSError:
        return False
    return True


async def sample(context: object, params: CreateMessageRequestParams) -> CreateMessageResult:
    """Be a client that could be asked: such ones get sessions."""
    content = TextContent(type="text", text="x")
    return CreateMessageResult(role="assistant", content=content, model="none")


def manifests(path: str) -> list[dict[str, Any]]:
    """Read an example."""
    return [each for each in yaml.safe_load_all((ROOT / path).read_text()) if each]


@pytest.fixture(scope="session")
def installation(node_cluster: RunningCluster) -> Installation:
    """Install the chart once; its namespace lets in only hardened pods, too."""
    built = _built()
    node_cluster.load(*(image["tar"] for image in built.values()))
    installed = Installation(node_cluster, built)
    installed.namespace(SYSTEM)
    installed.upgrade()
    return installed


def _built(*names: str) -> dict[str, dict[str, Any]]:
    """Build images, by default the usual ones."""
    build = [sys.executable, "-m", "dev.images", "build", "-o", "json", *names]
    done = subprocess.run(build, cwd=ROOT, check=True, stdout=subprocess.PIPE)
    return dict(json.loads(done.stdout))


def wait_for_reason(
    installed: Installation, namespace: str, name: str, kind: str, reason: str
) -> dict[str, Any]:
    """Wait until a condition has a reason, and return the condition."""
    seen: dict[str, Any] = {}

    def found() -> bool:
        seen.update(installed.condition(namespace, name, kind))
        return seen.get("reason") == reason

    eventually(found, f"{kind} of {name} has reason {reason}", seconds=READY_SECONDS)
    return seen
