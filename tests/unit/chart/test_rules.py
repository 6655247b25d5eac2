"""The chart grants what the operator's code uses, and nothing else."""

import re
from pathlib import Path
from typing import Any

import yaml

from breakwater_contract.names import RUN_AS
from breakwater_operator.kube import kinds
from breakwater_operator.kube.kinds import (
    CHILDREN,
    CLAIM,
    ENDPOINT_SLICE,
    EVENT,
    LEASE,
    MCP_SERVER,
    OPTIONAL,
    POD,
    Kind,
)

TEMPLATES = Path(__file__).resolve().parents[3] / "charts/breakwater/templates"

FOLLOW = {"list", "watch"}
USED = {
    MCP_SERVER: FOLLOW | {"get"},
    POD: FOLLOW | {"patch"},
    CLAIM: FOLLOW | {"get"},
    ENDPOINT_SLICE: FOLLOW,
    EVENT: {"create"},
    # A server-side apply that makes an object needs create beside patch.
    **{child: FOLLOW | {"get", "create", "patch", "delete"} for child in (*CHILDREN, *OPTIONAL)},
}
SUBRESOURCES = {"mcpservers/status": {"patch"}, "mcpservers/finalizers": {"update"}}


def granted() -> dict[tuple[str, str], set[str]]:
    """The verbs of the chart's rules by API group and resource."""
    text = (TEMPLATES / "_rules.tpl").read_text("utf-8")
    body = re.search(r'define "breakwater\.rules" -}}\n(.*)\n{{- end', text, re.DOTALL)
    assert body is not None
    rules: list[dict[str, Any]] = yaml.safe_load(body[1])
    pairs = [
        ((group, resource), set(rule["verbs"]))
        for rule in rules
        for group in rule["apiGroups"]
        for resource in rule["resources"]
    ]
    assert len(dict(pairs)) == len(pairs), "a resource stands in two rules"
    return dict(pairs)


def group(kind: Kind) -> str:
    return kind.api_version.rpartition("/")[0]


def test_every_kind_that_the_operator_knows_is_accounted_for() -> None:
    known = {value for value in vars(kinds).values() if isinstance(value, Kind)}

    # Its own Lease is in a Role of the operator's namespace.
    assert known == set(USED) | {LEASE}


def test_the_operator_may_do_what_it_does_and_nothing_else() -> None:
    main = {(group(kind), kind.plural): verbs for kind, verbs in USED.items()}
    parts = {(group(MCP_SERVER), name): verbs for name, verbs in SUBRESOURCES.items()}

    assert granted() == main | parts


def test_the_operator_runs_as_the_user_of_our_images() -> None:
    pod = (TEMPLATES / "deployment.yaml").read_text("utf-8")

    numbers = re.findall(r"(?:runAsUser|runAsGroup|fsGroup): (\d+)", pod)

    assert numbers == [str(RUN_AS)] * 3
