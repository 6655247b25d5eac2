"""Every example is a manifest that the operator takes."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from breakwater_operator.api.models import McpServer

ROOT = Path(__file__).parents[3]
FILES = sorted((ROOT / "examples").rglob("*.yaml"))


def servers(file: Path) -> list[dict[str, Any]]:
    return [it for it in yaml.safe_load_all(file.read_text()) if it.get("kind") == "McpServer"]


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_the_servers_of_an_example_are_right(file: Path) -> None:
    for server in servers(file):
        server["metadata"] |= {"namespace": "default", "uid": "u"}

        McpServer.parse(server)


def test_the_gateway_of_the_examples_asks_the_others_by_the_names_of_their_services() -> None:
    first, second, desk = servers(ROOT / "examples/gateway-of-remotes.yaml")

    hosts = [backend["remote"]["url"] for backend in desk["spec"]["backends"]]
    assert hosts == [
        f"http://{each['metadata']['name']}.default.svc:8080/mcp" for each in (first, second)
    ]
