"""The operator's process: kopf starts and stops it; the rest is ours."""

import argparse
import gc
import itertools
import logging
import os
import platform as host
import random
import secrets
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import kopf
import uvloop
from kubernetes.aio.client import Configuration
from prometheus_client import CollectorRegistry
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

from breakwater_operator.api.documents import DocumentError, load
from breakwater_operator.api.errors import ClusterError, Fault, SpecError
from breakwater_operator.api.platform import Platform
from breakwater_operator.kube.api import KubeApi
from breakwater_operator.kube.connection import connection
from breakwater_operator.probe.prober import Prober
from breakwater_operator.reconcile import journal
from breakwater_operator.reconcile.endpoints import Endpoints
from breakwater_operator.reconcile.engine import Engine, Outside
from breakwater_operator.reconcile.meters import Meters

log = logging.getLogger(__name__)

HTTP_PORT = 8080
EXIT_BAD_CONFIGURATION = 2
EXIT_FAILED = 1
STOP_SECONDS = 20.0
"""How long stopping may take before the process ends itself; kubelet waits 30 seconds."""

YOUNG_OBJECTS = 20_000
"""New objects between two collections. Every answer of the API server is hundreds of them, and
none is part of a cycle."""


def run(argv: Sequence[str] | None = None, *, prober: Prober | None = None) -> int:
    """Run the operator until it is told to stop.

    Args:
        argv: The command line; None means this process's.
        prober: Asks pods; None means over the network. Tests have pods that only pretend to run.

    Returns:
        The exit code.
    """
    options = _options(argv)
    kopf.configure(log_format=kopf.LogFormat.JSON)
    journal.install()
    try:
        configuration = _configuration(options.config)
    except SpecError as error:
        for fault in error.faults:
            sys.stderr.write(f"{options.config}: {fault}\n")
        return EXIT_BAD_CONFIGURATION
    gc.set_threshold(YOUNG_OBJECTS)
    # What was imported stays: no collection has to go through it.
    gc.freeze()
    # From here on there may be garbage; `start` had none looked for.
    gc.enable()
    try:
        uvloop.run(_operate(configuration, options, prober))
    except (ClusterError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return EXIT_FAILED
    except Exception as error:
        # kopf has private names for what the API server answers when asked what it has.
        if not isinstance(error.__cause__, aiohttp.ClientResponseError):
            raise
        sys.stderr.write(
            f"not the answer of a Kubernetes API server: {error.__cause__}; see that the "
            "kubeconfig names one, and what stands in between\n"
        )
        return EXIT_FAILED
    return 0


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser("breakwater-operator", description=__doc__)
    parser.add_argument("--config", type=Path, required=True, help="the configuration file, YAML")
    parser.add_argument(
        "--kubeconfig", type=Path, help="how to reach the cluster; default: KUBECONFIG, or the pod"
    )
    parser.add_argument(
        "--http-port", type=int, default=HTTP_PORT, help="port of /healthz, /readyz and /metrics"
    )
    parser.add_argument(
        "--identity",
        help="what this process is called in the Lease, as no other one is; a pod's own name, or "
        "by default the host's name and a random ending",
    )
    options = parser.parse_args(argv)
    named = os.environ.get("KUBECONFIG")  # noqa: TID251 - main reads the environment
    if options.kubeconfig is None and named:
        options.kubeconfig = Path(named)
    return options


async def _operate(platform: Platform, options: argparse.Namespace, prober: Prober | None) -> None:
    """Put the parts together and run them."""
    # Described, so that series can be asked for by name.
    registry = CollectorRegistry(auto_describe=True)
    for collector in (ProcessCollector, PlatformCollector, GCCollector):
        collector(registry=registry)
    meters = Meters(registry)
    credentials = await connection(options.kubeconfig)
    api = KubeApi(credentials, meters.request)
    identity = options.identity or f"{host.node()}-{secrets.token_hex(4)}"
    outside = Outside(_now, secrets.token_bytes, identity)
    engine = Engine(api, platform, meters, outside, prober)
    endpoints = Endpoints(engine.faults, engine.unready, registry)
    try:
        await kopf.operator(
            registry=_handlers(engine, endpoints, credentials, options.http_port),
            settings=_settings(),
            clusterwide=not platform.watch_namespaces,
            namespaces=platform.watch_namespaces,
            standalone=True,
        )
    finally:
        await api.close()


def _now() -> datetime:
    return datetime.now(UTC)  # noqa: TID251 - main is where time comes in


def _handlers(
    engine: Engine, endpoints: Endpoints, credentials: Configuration, port: int
) -> kopf.OperatorRegistry:
    """Say what kopf does for us: log in, start, stop."""
    registry = kopf.OperatorRegistry()

    @kopf.on.login(registry=registry)
    async def login(**_: Any) -> kopf.ConnectionInfo:
        return await _connection_info(credentials)

    # Everything is started in here, since kopf ends all tasks that came after its own.
    @kopf.on.startup(registry=registry)
    async def start(**_: Any) -> None:
        await endpoints.start(port)
        engine.start()

    @kopf.on.cleanup(registry=registry)
    async def stop(**_: Any) -> None:
        await engine.stop()
        await endpoints.stop()

    return registry


async def _connection_info(credentials: Configuration) -> kopf.ConnectionInfo:
    """Give kopf the credentials that everything else uses."""
    bearer = (await credentials.auth_settings()).get("BearerToken")
    scheme, _, token = (bearer["value"] or "").partition(" ") if bearer else ("", "", "")
    return kopf.ConnectionInfo(
        server=credentials.host,
        ca_path=credentials.ssl_ca_cert,
        insecure=not credentials.verify_ssl,
        scheme=scheme.capitalize() or None,
        token=token or None,
        certificate_path=credentials.cert_file,
        private_key_path=credentials.key_file,
    )


def _settings() -> kopf.OperatorSettings:
    """Turn off what we do ourselves, and let nothing end the process that passes by itself."""
    settings = kopf.OperatorSettings()
    settings.posting.enabled = False
    settings.scanning.disabled = True
    settings.networking.error_backoffs = Delays()
    settings.networking.request_timeout = 30.0
    settings.process.ultimate_exiting_timeout = STOP_SECONDS
    return settings


class Delays:
    """Waits between retries that grow to half a minute, spread, and never end.

    kopf's own list ends after a minute, and the process with it: an API server that is down for
    longer would make us crash again and again.
    """

    def __iter__(self) -> Iterator[float]:
        """Begin anew: each request has its own."""
        for attempt in itertools.count():
            # Spreading load needs no secrecy.
            yield min(30.0, 2.0 ** min(attempt, 5)) * (0.5 + random.random() / 2)  # noqa: S311  spreads load, guards nothing


def _configuration(path: Path) -> Platform:
    """Read the configuration file.

    Raises:
        SpecError: With every fault of it.
    """
    try:
        found = [content for _, content in load(path.read_bytes())]
    except OSError as error:
        raise SpecError([Fault("the file", f"cannot be read: {error}")]) from error
    except DocumentError as error:
        where = f"line {error.line}" if error.line is not None else "the file"
        raise SpecError([Fault(where, str(error))]) from error
    if len(found) != 1 or not isinstance(found[0], dict):
        raise SpecError([Fault("the file", "has no settings; write `namespace:` and `images:`")])
    return Platform.parse(found[0])
