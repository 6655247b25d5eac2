"""The demo: one real cluster, one McpServer, one real MCP client.

`make demo` runs `up`; every step finds out what is already there, so a second run takes seconds.
`make demo-down` runs `down`.
"""

import argparse
import asyncio
import base64
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
from mcp.client import Client
from mcp.client.streamable_http import streamable_http_client
from mcp_types import CallToolResult, TextContent

ROOT = Path(__file__).resolve().parent.parent
CLUSTER = "breakwater-demo"
OPERATOR_NAMESPACE = "breakwater-system"
NAMESPACE = "demo"
SERVER = "changes"
WAIT = "180s"
ERAS = (("auto", "asks for the newest revision"), ("legacy", "begins with initialize"))


@dataclass(frozen=True)
class Access:
    """How a client reaches the demo's server."""

    url: str
    key: str


def run(*command: str, stdin: str | None = None) -> str:
    """Run one command of the project and return what it printed.

    Raises:
        SystemExit: It failed; its own words are shown.
    """
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=ROOT,
        input=stdin,
        text=True,
        check=False,
        stdout=subprocess.PIPE,
    )
    if done.returncode != 0:
        raise SystemExit(f"{done.stdout}\n`python -m {' '.join(command)}` failed; see above")
    return done.stdout


def cluster(*command: str, stdin: str | None = None) -> str:
    """Run one command of dev.cluster on the demo's cluster."""
    return run("dev.cluster", command[0], "--name", CLUSTER, *command[1:], stdin=stdin)


def kubectl(*command: str, stdin: str | None = None) -> str:
    """Run kubectl on the demo's cluster."""
    return cluster("kubectl", *command, stdin=stdin)


@contextmanager
def step(what: str) -> Iterator[None]:
    """Print what is being done and how long it took."""
    print(f"==> {what}", flush=True)
    begun = time.monotonic()
    yield
    print(f"    {time.monotonic() - begun:.1f} s", flush=True)


def images() -> dict[str, dict[str, Any]]:
    """Build what has changed and return name -> reference and archive."""
    built: dict[str, dict[str, Any]] = json.loads(
        run("dev.images", "build", "operator", "runtime", "-o", "json")
    )
    return built


def chart_arguments(built: dict[str, dict[str, Any]]) -> list[str]:
    """Give what `helm upgrade --install RELEASE` needs to run the images that were built."""
    registry, operator = built["operator"]["ref"].rsplit("/", 1)
    runtime = built["runtime"]["ref"].rsplit("/", 1)[1]
    return [
        str(ROOT / "charts/breakwater"),
        *("--set", f"image.registry={registry}"),
        *("--set-string", f"operator.tag={operator.split(':')[1]}"),
        *("--set-string", f"runtime.tag={runtime.split(':')[1]}"),
    ]


def install(built: dict[str, dict[str, Any]]) -> None:
    """Install the chart, or upgrade what is there."""
    cluster(
        *("helm", "upgrade", "--install", "breakwater", *chart_arguments(built)),
        *("--namespace", OPERATOR_NAMESPACE, "--create-namespace", "--wait", "--timeout", WAIT),
    )


def apply() -> None:
    """Apply the example in a namespace that enforces the restricted Pod Security profile."""
    namespace = {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {
            "name": NAMESPACE,
            "labels": {"pod-security.kubernetes.io/enforce": "restricted"},
        },
    }
    kubectl("apply", "-f", "-", stdin=json.dumps(namespace))
    kubectl("apply", "-n", NAMESPACE, "-f", str(ROOT / "examples/changes.yaml"))
    kubectl(
        *("wait", "-n", NAMESPACE, f"mcpservers.breakwater.dev/{SERVER}"),
        *("--for=condition=Ready", f"--timeout={WAIT}"),
    )


def access() -> Access:
    """Read the key and the Service's address, as a user would."""
    secret = json.loads(kubectl("get", "-n", NAMESPACE, f"secret/{SERVER}-keys", "-o", "json"))
    service = json.loads(kubectl("get", "-n", NAMESPACE, f"service/{SERVER}", "-o", "json"))
    key = base64.b64decode(secret["data"]["default"]).decode().split()[0]
    return Access(f"http://{service['spec']['clusterIP']}:8080/mcp", key)


async def call(server: Access, mode: str) -> tuple[str, list[str], CallToolResult]:
    """List the tools and open a change, through the Service, in one era of the protocol."""
    async with httpx2.AsyncClient(headers={"X-API-Key": server.key}) as http:
        transport = streamable_http_client(server.url, http_client=http)
        async with Client(transport, mode=mode) as client:
            tools = await client.list_tools()
            answer = await client.call_tool(
                "change.open",
                {
                    "changeId": f"say-hello-{mode}",
                    "title": "Say hello",
                    "why": "A first change, made by the demo.",
                    "tasks": ["Write it", "Read it"],
                },
            )
            return client.protocol_version, [tool.name for tool in tools.tools], answer


def talk(server: Access) -> None:
    """Call the server in both eras and print what it said.

    Raises:
        SystemExit: A tool answered with an error.
    """
    for mode, meaning in ERAS:
        version, tools, answer = asyncio.run(call(server, mode))
        text = next((c.text for c in answer.content if isinstance(c, TextContent)), "")
        print(f"    {version} (the client {meaning}): {', '.join(tools)}")
        print(f"    change.open -> {text}")
        if answer.is_error:
            raise SystemExit("change.open failed; see above")


def go_on(server: Access) -> None:
    """Print the commands that a person would try next."""
    python = Path(sys.executable).relative_to(ROOT)
    body = '{"jsonrpc":"2.0","id":1,"method":"tools/list"}'
    print(f"""
It runs. Go on with:
  eval "$({python} -m dev.cluster env --name {CLUSTER})"   # kubectl, helm, KUBECONFIG
  kubectl get mcpservers.breakwater.dev -A
  kubectl describe -n {NAMESPACE} mcpservers.breakwater.dev/{SERVER}
  KEY=$(kubectl get -n {NAMESPACE} secret/{SERVER}-keys -o jsonpath='{{.data.default}}' | base64 -d)
  curl -sS {server.url} -H "X-API-Key: $KEY" -H 'Content-Type: application/json' \\
    -H 'Accept: application/json, text/event-stream' -d '{body}'
  make demo-down""")


def up() -> None:
    """Bring everything up and show that it answers."""
    begun = time.monotonic()
    with step("a Kubernetes cluster"):
        run_shown("dev.cluster", "up", "--name", CLUSTER, "--size", "node")
    with step("images, and the cluster has them"):
        built = images()
        cluster("load", built["operator"]["tar"], built["runtime"]["tar"])
    with step("helm install"):
        install(built)
    with step(f"kubectl apply -f examples/{SERVER}.yaml, and wait until it is Ready"):
        apply()
    with step("an MCP client lists the tools and calls change.open through the Service"):
        server = access()
        talk(server)
    go_on(server)
    print(f"\n{time.monotonic() - begun:.0f} s in all.")


def run_shown(*command: str) -> None:
    """Run one command of the project whose progress a person wants to see."""
    if subprocess.run([sys.executable, "-m", *command], cwd=ROOT, check=False).returncode != 0:
        raise SystemExit(f"`python -m {' '.join(command)}` failed; see above")


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m dev.demo", description=__doc__)
    parser.add_argument("command", choices=["up", "down"])
    if parser.parse_args().command == "up":
        up()
    else:
        run_shown("dev.cluster", "down", "--name", CLUSTER)


if __name__ == "__main__":
    main()
