"""The command line: `python -m dev.cluster ...`."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from dev.cluster import build, files
from dev.cluster.existing import ExistingCluster
from dev.cluster.kind import KindCluster
from dev.cluster.local import LocalCluster
from dev.cluster.progress import Progress
from dev.cluster.provider import Cluster, ClusterError, Size
from dev.cluster.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

DEFAULT_NAME = "breakwater"

_TOOLS = ("kubectl", "helm")
_TOOL_OPTIONS = ("--name", "--provider")


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the arguments say; return the exit code."""
    ours, tool_arguments = split(sys.argv[1:] if arguments is None else arguments)
    options = _parser().parse_args(ours)
    options.arguments = tool_arguments
    settings = Settings.from_environment()
    try:
        act: Callable[[argparse.Namespace, Settings], int] = options.act
        return act(options, settings)
    except ClusterError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; `up` goes on from here, `down` removes it", file=sys.stderr)
        return 130


def split(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Part what is ours from what `kubectl` and `helm` are to be given as it is.

    Ours are the first word and the options right after it: `kubectl --name mine -n kube-system
    get pods`.
    """
    if not arguments or arguments[0] not in _TOOLS:
        return list(arguments), []
    end = 1
    while end < len(arguments) and arguments[end].partition("=")[0] in _TOOL_OPTIONS:
        end += 1 if "=" in arguments[end] else 2
    rest = list(arguments[end:])
    return list(arguments[:end]), rest[1:] if rest[:1] == ["--"] else rest


def _parser() -> argparse.ArgumentParser:
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--name", default=DEFAULT_NAME, help="which cluster (%(default)s)")
    shared.add_argument(
        "--provider", choices=("local", "kind", "existing"), default="local", help="(%(default)s)"
    )
    shared.add_argument("--kubeconfig", type=Path, help="existing: how to reach the cluster")
    shared.add_argument("--context", help="existing: which context of the kubeconfig")
    shared.add_argument("--registry", help="existing: where its nodes pull images from")
    shared.add_argument(
        "--network-policy", action="store_true", help="existing: it enforces NetworkPolicies"
    )
    parser = argparse.ArgumentParser(prog="python -m dev.cluster", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, act: Callable[..., int], text: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=text, description=text, parents=[shared])
        added.set_defaults(act=act)
        return added

    up = command("up", _up, "start whatever of the cluster does not run")
    up.add_argument("--size", type=Size, choices=list(Size), help="(node, or what it is)")
    up.add_argument("--fake-nodes", type=int, metavar="N", help="nodes that only look like some")
    down = command("down", _down, "remove the cluster")
    down.add_argument("--keep-state", action="store_true", help="stop it; `up` continues it")
    status = command("status", _status, "say what runs")
    status.add_argument("-o", "--output", choices=("text", "json"), default="text")
    load = command("load", _load, "make images usable by pods")
    load.add_argument("images", nargs="+", metavar="IMAGE", help="a tar file, or a name")
    command("env", _env, "print what a shell needs to use the cluster")
    for name, act in {"kubectl": _kubectl, "helm": _helm}.items():
        command(name, act, f"run {name} on the cluster; the rest of the line is {name}'s")
    return parser


def _cluster(options: argparse.Namespace, settings: Settings) -> Cluster:
    if options.provider == "kind":
        return KindCluster(settings, options.name)
    if options.provider == "existing":
        return ExistingCluster(
            settings,
            options.name,
            kubeconfig=options.kubeconfig,
            context=options.context,
            registry=options.registry,
            enforces_network_policy=options.network_policy,
        )
    return LocalCluster(
        settings,
        options.name,
        size=getattr(options, "size", None),
        fake_nodes=getattr(options, "fake_nodes", None),
        progress=Progress(),
    )


def _up(options: argparse.Namespace, settings: Settings) -> int:
    _cluster(options, settings).up()
    return 0


def _down(options: argparse.Namespace, settings: Settings) -> int:
    _cluster(options, settings).down(keep_state=options.keep_state)
    return 0


def _status(options: argparse.Namespace, settings: Settings) -> int:
    status = _cluster(options, settings).status()
    if options.output == "json":
        print(json.dumps(dataclasses.asdict(status), indent=1))
    else:
        print(f"{status.name} ({status.provider}): {'ready' if status.ready else 'not ready'}")
        for part, said in status.details.items():
            print(f"  {part:26} {said}")
    return 0 if status.ready else 1


def _load(options: argparse.Namespace, settings: Settings) -> int:
    _cluster(options, settings).load(options.images)
    return 0


def _env(options: argparse.Namespace, settings: Settings) -> int:
    cluster = _cluster(options, settings)
    capabilities = cluster.capabilities
    variables = {
        "KUBECONFIG": str(cluster.kubeconfig),
        "BREAKWATER_CLUSTER": cluster.name,
        "BREAKWATER_CLUSTER_NODE": str(int(capabilities.node)),
        "BREAKWATER_CLUSTER_NETWORK_POLICY": str(int(capabilities.enforces_network_policy)),
    }
    for name, value in variables.items():
        print(f"export {name}={shlex.quote(value)}")
    if isinstance(cluster, LocalCluster):
        print(f'export PATH={shlex.quote(str(cluster.tools))}:"$PATH"')
    return 0


def _kubectl(options: argparse.Namespace, settings: Settings) -> int:
    cluster = _cluster(options, settings)
    program = str(cluster.tools / "kubectl") if isinstance(cluster, LocalCluster) else "kubectl"
    return _become(program, cluster, options, settings)


def _helm(options: argparse.Namespace, settings: Settings) -> int:
    folder = LocalCluster(settings, DEFAULT_NAME, progress=Progress()).program(build.HELM)
    cluster = _cluster(options, settings)
    if isinstance(cluster, LocalCluster) and cluster.tools.is_dir():
        files.link(cluster.tools / "helm", folder / "helm")
    return _become(str(folder / "helm"), cluster, options, settings)


def _become(program: str, cluster: Cluster, options: argparse.Namespace, settings: Settings) -> int:
    """Run a tool in our place, so that its signals, its terminal and its exit code are its own."""
    if not cluster.kubeconfig.exists():
        # The tool would look for some other cluster.
        raise ClusterError(f"there is no cluster {cluster.name}; `up` makes it")
    environment = {**settings.environment, "KUBECONFIG": str(cluster.kubeconfig)}
    os.execvpe(program, [Path(program).name, *options.arguments], environment)
