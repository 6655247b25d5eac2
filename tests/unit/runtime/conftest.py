"""A process without sockets: both ports as ASGI apps, a backend that notes what reaches it."""

from collections.abc import AsyncIterator, Sequence
from functools import partial
from itertools import count
from pathlib import Path

import httpx2
import pytest
from starlette.types import ASGIApp

from breakwater_contract.access import Access
from breakwater_contract.backends import Backend, PythonBackend
from breakwater_contract.gateway import BackendTools, Tools
from breakwater_contract.metrics import LIVE_RELOADS, RUNTIME_METRICS
from breakwater_contract.settings import LiveSettings, RuntimeSettings, ServerIdentity
from breakwater_runtime import app
from breakwater_runtime.app import Process
from breakwater_runtime.calls import Sources
from breakwater_runtime.http.in_flight import Places
from breakwater_runtime.http.shared_buckets import Rates
from breakwater_runtime.live import Live, Source
from breakwater_runtime.management.drain import Drain
from breakwater_runtime.management.health import Health
from breakwater_runtime.observability.metrics import Metrics
from breakwater_runtime.observability.telemetry import Service, Telemetry
from breakwater_runtime.protocol.session_ids import Pod
from breakwater_runtime.tools.shaped import Shaped
from tests.unit.runtime.asgi import Caller, Door
from tests.unit.runtime.fakes import (
    ADMIN,
    ALICE,
    EXPIRED,
    UID,
    FakeBackend,
    FakeClock,
    Operator,
)


@pytest.fixture
def backend() -> FakeBackend:
    return FakeBackend()


@pytest.fixture
def backends(backend: FakeBackend) -> Sequence[FakeBackend]:
    """Say which backends there are; modules of tests put several in its place."""
    return (backend,)


@pytest.fixture
def tools() -> Sequence[BackendTools]:
    """Say what is shown of their tools."""
    return ()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def operator() -> Operator:
    return Operator()


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    """Make the folder of keys: one principal, one good key, one that has expired."""
    folder = tmp_path / "keys"
    folder.mkdir()
    (folder / "alice").write_text(f"{ALICE}\n{EXPIRED} expires=2026-01-01T00:00:00Z\n")
    return folder


@pytest.fixture
def access() -> Access:
    """Say who may use the server; modules of tests put their own in its place."""
    return Access()


def _tools(live: Live, backend: str) -> Tools | None:
    return live.loaded.tools.get(backend)


@pytest.fixture
def process(
    keys: Path,
    backends: Sequence[FakeBackend],
    tools: Sequence[BackendTools],
    clock: FakeClock,
    operator: Operator,
    access: Access,
) -> Process:
    (keys.parent / "admin").write_text(f"{ADMIN}\n{EXPIRED} expires=2026-01-01T00:00:00Z\n")
    live_settings = LiveSettings(
        endpoints=("StreamableHTTP", "SSE", "JSONRPC", "REST"),
        keys_directory=str(keys),
        operator_keys=(operator.public,),
        access=access,
        admin_key_file="admin",
        tools=tuple(tools),
    )
    settings = RuntimeSettings(
        server=ServerIdentity(name="crm", uid=UID),
        revision="abc",
        backends=tuple(
            Backend(name=each.name, python=PythonBackend(server="crm:mcp")) for each in backends
        ),
        live=live_settings,
    )
    metrics = Metrics(RUNTIME_METRICS)
    live = Live(
        Source.of(settings, keys.parent / "config.json"), reloads=metrics.counter(LIVE_RELOADS)
    )
    live.load()
    ids = count(1)
    sources = Sources(clock.now, clock.elapsed, lambda: f"made-{next(ids)}")
    issuer_keys = app.issuer_keys(live, metrics, sources)
    telemetry = Telemetry(Service("crm", "team-a", "1.2.3", "crm-0"), metrics)
    rates = Rates.of(settings.server, metrics, sources.elapsed)
    shaped = [
        Shaped(
            each,
            partial(_tools, live, each.name),
            f"{each.name}_" if len(backends) > 1 else "",
        )
        for each in backends
    ]
    sharing = app.sharing(live, Pod(), UID, metrics, sources)
    process = Process(
        settings,
        "1.2.3",
        sources,
        metrics,
        live,
        shaped,
        Health(),
        Drain(),
        issuer_keys,
        sharing,
        Places(),
        Places(),
        telemetry,
        rates,
    )
    app.register_checks(process)
    return process


@pytest.fixture
def door(process: Process) -> Door:
    """Call any path of the public port with alice's key, or what is given in its place."""
    public = app.public(process)

    def at(url: str, **headers: str | None) -> Caller:
        return Caller(public, "nobody", url, **{"x_api_key": ALICE, **headers})

    return at


@pytest.fixture
async def public(process: Process) -> AsyncIterator[httpx2.AsyncClient]:
    """Make a client of the public port."""
    async with _client(app.public(process)) as client:
        yield client


@pytest.fixture
async def management(process: Process) -> AsyncIterator[httpx2.AsyncClient]:
    """Make a client of the management port."""
    async with _client(app.management(process)) as client:
        yield client


def _client(asgi: ASGIApp) -> httpx2.AsyncClient:
    transport = httpx2.ASGITransport(app=asgi, raise_app_exceptions=True)
    return httpx2.AsyncClient(transport=transport, base_url="http://server")
