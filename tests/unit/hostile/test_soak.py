"""A runtime that has served for long needs no more memory than one that has not."""

from pathlib import Path

import pytest

from tests.support.rig import soak
from tests.support.rig.proof import Proof
from tests.support.rig.requests import MODERN, Speaker, http, rpc, use
from tests.support.rig.soak import Client
from tests.support.rig.target import attacked

pytestmark = [pytest.mark.process, pytest.mark.prove]

modern, older, batching = Speaker(MODERN), Speaker("2025-11-25"), Speaker("2025-03-26")

RESUMABLE_SECONDS = 15
"""docs/reference/mcp.md: for how long a client may come back for a stream with event ids."""

REQUESTS = [
    *[(modern.call("echo", text="hello"), 200)] * 12,
    *[(older.call("echo", text="hello"), 200)] * 6,
    (modern.call("large", size=20_000), 200),
    (modern.call("fail"), 200),
    (modern.call("talk", progress=1, seconds=0), 200),
    (older.call("talk", progress=1, seconds=0), 200),
    (modern.call("none"), 200),
    (modern.post("tools/list"), 200),
    (older.post("tools/list"), 200),
    (older.initialize(), 200),
    (batching.batch(rpc("tools/list"), rpc("tools/call", use("echo", {"text": "b"}), 2)), 200),
    (Speaker(MODERN, key="wrong").call("echo", text="hello"), 401),
    (Speaker(MODERN, key=None).call("echo", text="hello"), 401),
    (http("POST", "/mcp", modern.headers("tools/list"), b"{"), 400),
    (http("GET", "/nothing", modern.headers()), 404),
]


async def ask(client: Client) -> None:
    """Send one request, and leave in its middle now and then."""
    request, status = client.random.choice(REQUESTS)
    line = await client.line()
    if client.random.random() < 0.005:
        line.send(modern.call("wait", seconds=60)[: client.random.randrange(1, 700)])
        await line.writer.drain()
        client.drop()
        return
    answer = await line.ask(request)
    assert answer.status == status, answer
    if answer.header("connection") == "close":
        client.close()


@pytest.mark.requirement("K3", "T17")
def test_a_million_requests_leave_memory_as_it_was(tmp_path: Path, share: float) -> None:
    proof = Proof("requests", int(1_000_000 * share), part=10_000)
    with attacked(tmp_path) as target:
        soak.run(target, proof, ask)
        connections, rss = target.metric("mcp_connections"), target.rss_bytes()
    grew = soak.growth(proof)

    assert grew < soak.GROWTH_BYTES_MAX
    assert connections <= soak.CLIENTS
    proof.write(
        "Memory over many requests",
        "Calls in every era, as JSON and as streams, errors of tools and of callers, batches, "
        "refusals, and clients that leave in the middle, by 32 clients at once.",
        {
            "requests": f"{proof.total:,}",
            "growth per 100,000 after warm-up": f"{grew / 1e6:.2f} MB (at most 2)",
            "resident at the end": f"{rss / 1e6:.0f} MB",
        },
    )


async def live(client: Client) -> None:
    """Live one session: a handshake, calls, a stream, and an end, or none."""
    line = await client.line()
    begun = await line.ask(older.initialize({"sampling": {}}))
    session = begun.header("mcp-session-id")
    assert (begun.status, session is not None) == (200, True), begun
    own = Speaker("2025-11-25", session)
    noted = await line.ask(own.post("notifications/initialized", number=None))
    echoed = await line.ask(own.call("echo", text="hello"))
    talked = await line.ask(own.call("talk", progress=1, seconds=0))
    assert (noted.status, echoed.status, talked.status) == (202, 200, 200)
    end = client.random.random()
    if end < 0.1:  # left behind
        return
    if end < 0.3:  # a stream of its own, and a client that goes away
        line.send(own.get())
        assert (await line.head())[0] == 200
        client.drop()
        line = await client.line()
    assert (await line.ask(own.delete())).status == 200


@pytest.mark.requirement("K2")
def test_a_hundred_thousand_sessions_leave_memory_as_it_was(tmp_path: Path, share: float) -> None:
    proof = Proof("sessions", int(100_000 * share), part=5_000)
    with attacked(tmp_path) as target:
        soak.run(target, proof, live, rest_seconds=RESUMABLE_SECONDS + 2)
        sessions, rss = target.metric("mcp_sessions"), target.rss_bytes()
    grew = soak.growth(proof)

    assert grew < soak.GROWTH_BYTES_MAX
    assert sessions <= 1000
    proof.write(
        "Memory over many sessions",
        "Each session: a handshake, a notification, a call, a call that reports progress; a fifth "
        "open a stream and lose it, and a tenth are never ended. Memory is looked at when "
        "nothing is resumable any more.",
        {
            "sessions": f"{proof.total:,}",
            "growth per 100,000 after warm-up": f"{grew / 1e6:.2f} MB (at most 2)",
            "sessions kept at the end": f"{sessions:.0f} (at most 1,000 of one principal)",
            "resident at the end": f"{rss / 1e6:.0f} MB",
        },
    )
