"""The CustomResourceDefinition of the McpServer, made from the models."""

from typing import Any

from breakwater_contract.names import API_GROUP
from breakwater_operator.api.conditions import ConditionType
from breakwater_operator.api.models import ROOT_RULES, McpServerSpec
from breakwater_operator.api.schema import Schema, structural
from breakwater_operator.api.status import McpServerStatus

PLURAL = "mcpservers"
VERSION = "v1alpha1"
DESCRIPTION = (
    "An MCP server: pods that serve tools, resources and prompts over the Model Context Protocol, "
    "authenticated, limited and observable, behind the Service of the same name."
)


def crd() -> dict[str, Any]:
    """Describe the API as the API server wants to know it."""
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{PLURAL}.{API_GROUP}"},
        "spec": {
            "group": API_GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": "McpServer",
                "listKind": "McpServerList",
                "plural": PLURAL,
                "singular": "mcpserver",
                "shortNames": ["bmcp"],
                "categories": ["breakwater"],
            },
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    "additionalPrinterColumns": _columns(),
                    "schema": {"openAPIV3Schema": _schema()},
                    "subresources": {
                        "status": {},
                        "scale": {
                            "specReplicasPath": ".spec.replicas",
                            "statusReplicasPath": ".status.replicas",
                            "labelSelectorPath": ".status.selector",
                        },
                    },
                }
            ],
        },
    }


def _schema() -> Schema:
    api_version = "The version of the API, breakwater.dev/v1alpha1."
    return {
        "description": DESCRIPTION,
        "type": "object",
        "required": ["spec"],
        **ROOT_RULES,
        "properties": {
            "apiVersion": {"type": "string", "description": api_version},
            "kind": {"type": "string", "description": "McpServer."},
            "metadata": {"type": "object"},
            "spec": structural(McpServerSpec),
            "status": structural(McpServerStatus),
        },
    }


def _columns() -> list[dict[str, Any]]:
    ready = f".status.conditions[?(@.type=='{ConditionType.READY}')]"
    return [
        _column("Ready", f"{ready}.status", ConditionType.READY.meaning),
        _column("Reason", f"{ready}.reason", "Why it is ready, or why not."),
        _column("URL", ".status.address.url", "Where clients inside the cluster find it."),
        _column("Revision", ".status.revision", "What the pods run."),
        _column("Replicas", ".status.readyReplicas", "How many pods are ready.", "integer"),
        _column("Age", ".metadata.creationTimestamp", "Since when it exists.", "date"),
    ]


def _column(name: str, path: str, description: str, kind: str = "string") -> dict[str, Any]:
    return {"name": name, "type": kind, "jsonPath": path, "description": description}
