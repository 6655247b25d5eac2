"""Rates that replicas share over a real Redis, and what holds while it is away."""

import asyncio
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import redis

from breakwater_contract.metrics import RUNTIME_METRICS
from breakwater_contract.settings import ServerIdentity
from breakwater_contract.shared_rates import SharedRates
from breakwater_runtime.calls import Problem, Refused
from breakwater_runtime.http.rate import Verdict
from breakwater_runtime.http.shared_buckets import Rates, Target
from breakwater_runtime.observability.metrics import Metrics
from tests.support.certificates import localhost_certificate
from tests.support.redis import RedisServer, redis_server
from tests.support.rig.line import Answer, dial
from tests.support.rig.requests import Speaker
from tests.support.rig.target import Target as Attacked
from tests.support.rig.target import attacked
from tests.unit.runtime.fakes import until

pytestmark = [pytest.mark.process, pytest.mark.requirement("T4", "G5")]

PATIENT = "5s"
"""How long a store may take on a busy machine; what is away is away at once."""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    with redis_server(tmp_path) as server:
        yield server


Make = Callable[..., "Replica"]


class Replica:
    """The buckets of one replica."""

    def __init__(self, uid: str = "uid-1") -> None:
        self.metrics = Metrics(RUNTIME_METRICS)
        identity = ServerIdentity(name="crm", uid=uid)
        self.rates = Rates.of(identity, self.metrics, lambda: asyncio.get_running_loop().time())

    def use(
        self,
        address: str,
        password: bytes | None = None,
        authorities: bytes | None = None,
        **more: Any,
    ) -> "Replica":
        settings = SharedRates.model_validate({"address": address, "timeout": PATIENT, **more})
        self.rates.shared.apply(Target(settings, password, authorities))
        return self

    async def take(self, name: str = "alice", per_minute: int = 60) -> Verdict:
        return await self.rates.shared.take("principal", name, per_minute)

    def counted(self, where: str) -> float:
        return self.sample("mcp_shared_rate_charges_total", counted=where)

    def sample(self, name: str, **labels: str) -> float:
        return self.metrics.registry.get_sample_value(name, labels) or 0.0


@pytest.fixture
async def make() -> AsyncIterator[Make]:
    made: list[Replica] = []

    def replica(uid: str = "uid-1") -> Replica:
        made.append(Replica(uid))
        return made[-1]

    yield replica
    for each in made:
        await each.rates.shared.close()


async def test_replicas_count_together(make: Make, server: RedisServer) -> None:
    replicas = [make().use(server.address) for _ in range(3)]

    verdicts = [await replicas[number % 3].take(per_minute=6) for number in range(9)]

    assert [each.allowed for each in verdicts] == [True] * 6 + [False] * 3
    assert [each.remaining for each in verdicts[:6]] == [5, 4, 3, 2, 1, 0]
    assert 0 < verdicts[-1].retry_seconds <= 10
    assert (await replicas[0].take("bob", 6)).allowed


async def test_servers_and_buckets_are_kept_apart(make: Make, server: RedisServer) -> None:
    one, other = make("uid-1").use(server.address), make("uid-2").use(server.address)
    apart = make("uid-1").use(server.address, prefix="staging")

    taken = [(await each.take(per_minute=1)).allowed for each in (one, one, other, apart)]
    tool = await one.rates.shared.take("tool", "alice", 1)

    assert taken == [True, False, True, True]
    assert tool.allowed


async def test_many_requests_are_one_question(make: Make, server: RedisServer) -> None:
    replica = make().use(server.address)
    await replica.take("first")

    verdicts = await asyncio.gather(*(replica.take(per_minute=100) for _ in range(1000)))

    assert sum(verdict.allowed for verdict in verdicts) in range(100, 160)  # it refills meanwhile
    assert replica.sample("mcp_shared_rate_round_trip_seconds_count") <= 10
    assert replica.counted("shared") == 1001


async def test_names_are_not_told_and_full_buckets_are_forgotten(
    make: Make, server: RedisServer
) -> None:
    await make().use(server.address).take("jwt:alice@example.com", 60_000_000)

    with redis.Redis(port=server.port, decode_responses=True) as client:
        names: Any = client.keys("*")
        assert not any("alice" in name for name in names)
        assert all(name.startswith("breakwater:{uid-1}:principal:") for name in names)
        await until(lambda: not client.dbsize())


@pytest.mark.parametrize(
    ("when_away", "expected", "counted"),
    [
        ("Local", [True, True, False], "local"),
        ("Allow", [True, True, True], "allowed"),
        ("Refuse", [Problem.RATES_UNAVAILABLE] * 3, "refused"),
    ],
)
async def test_what_holds_while_the_store_is_away_is_chosen(
    make: Make, server: RedisServer, when_away: str, expected: list[object], counted: str
) -> None:
    replica = make().use(server.address, whenAway=when_away)
    assert (await replica.take("before")).allowed
    server.kill()

    found = [await outcome(replica, per_minute=2) for _ in range(3)]

    assert found == expected
    assert replica.counted(counted) == 3
    assert replica.sample("mcp_shared_rate_store_away") == 1
    assert str(server.port) in (replica.rates.shared.fault or "")

    server.start()
    await until(lambda: replica.rates.shared.fault is None)
    assert (await replica.take("after")).allowed
    assert replica.counted("shared") == 2
    assert replica.sample("mcp_shared_rate_store_away") == 0


async def outcome(replica: Replica, per_minute: int) -> object:
    try:
        return (await replica.take(per_minute=per_minute)).allowed
    except Refused as refusal:
        return refusal.problem if refusal.retry_after else None


async def test_who_was_counted_before_has_no_full_bucket_when_the_store_goes(
    make: Make,
    server: RedisServer,
) -> None:
    replica = make().use(server.address)
    before = [(await replica.take(per_minute=3)).allowed for _ in range(3)]
    server.kill()

    after = await replica.take(per_minute=3)

    assert before == [True] * 3
    assert not after.allowed


async def test_a_store_that_takes_too_long_is_away(make: Make, server: RedisServer) -> None:
    replica = make().use(server.address, timeout="200ms")
    await until_shared(replica)
    server.pause()

    verdicts = await asyncio.gather(*(replica.take(f"many-{number}") for number in range(300)))
    assert all(verdict.allowed for verdict in verdicts)
    assert replica.counted("local") >= 300

    server.go_on()
    await until(lambda: replica.rates.shared.fault is None)


async def until_shared(replica: Replica) -> None:
    async with asyncio.timeout(60):
        while not replica.counted("shared"):
            await replica.take("before")
            await asyncio.sleep(0.05)


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[tuple[RedisServer, Path]]:
    """Run a Redis with TLS and a password."""
    crt, key = localhost_certificate(tmp_path)
    options = ("--tls-cert-file", str(crt), "--tls-key-file", str(key), "--requirepass", "hush")
    with redis_server(tmp_path, *options, tls=True) as server:
        yield server, crt


async def test_with_tls_and_a_password(make: Make, guarded: tuple[RedisServer, Path]) -> None:
    server, crt = guarded
    authorities = crt.read_bytes()

    by_number = f"127.0.0.1:{server.port}"

    right = make().use(server.address, b"hush", authorities, tls={})
    wrong = {
        "password": make().use(server.address, b"guess", authorities, tls={}),
        "no password": make().use(server.address, None, authorities, tls={}),
        "authority": make().use(server.address, b"hush", None, tls={}),
        "host": make().use(by_number, b"hush", authorities, tls={}),
        "no tls": make().use(server.address, b"hush", None),
    }
    for replica in (right, *wrong.values()):
        await replica.take()

    assert right.counted("shared") == 1
    assert {name: each.counted("local") for name, each in wrong.items()} == dict.fromkeys(wrong, 1)
    assert all("hush" not in str(each.rates.shared.fault) for each in wrong.values())


async def test_a_user_with_few_rights_is_enough(make: Make, server: RedisServer) -> None:
    rights = "~breakwater:* +evalsha +script|load +time +get +set"
    with redis.Redis(port=server.port) as client:
        client.execute_command("ACL", "SETUSER", "counter", "on", ">hush", *rights.split())
        client.execute_command("ACL", "SETUSER", "default", "off")

    replica = make().use(server.address, b"hush", username="counter")
    foreign = make().use(server.address, b"hush", username="counter", prefix="other")
    for each in (replica, foreign):
        await each.take()

    assert replica.counted("shared") == 1
    assert foreign.counted("local") == 1


async def test_another_password_is_taken_over(
    make: Make, guarded: tuple[RedisServer, Path]
) -> None:
    server, crt = guarded
    replica = make().use(server.address, b"old", crt.read_bytes(), tls={})
    await replica.take()
    assert replica.counted("local") == 1

    replica.use(server.address, b"hush", crt.read_bytes(), tls={})
    await until(lambda: replica.rates.shared.fault is None)

    await replica.take()
    assert replica.counted("shared") == 1


async def test_without_the_setting_each_counts_for_itself_again(
    make: Make, server: RedisServer
) -> None:
    replica = make().use(server.address)
    await replica.take()
    replica.rates.shared.apply(None)

    assert not replica.rates.shared.on
    assert (await replica.take()).allowed
    assert replica.counted("local") == 1


def test_where_nothing_is_shared_the_library_is_not_loaded() -> None:
    code = "import sys, breakwater_runtime.serve; sys.exit('redis' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# Whole processes

RATE = 120


@pytest.fixture
def replicas(guarded: tuple[RedisServer, Path], tmp_path: Path) -> Iterator[list[Attacked]]:
    """Run two replicas of one server that share a Redis with TLS and a password."""
    server, crt = guarded
    with ExitStack() as stack:
        made = []
        for name in ("one", "two"):
            folder = tmp_path / name
            folder.mkdir()
            (folder / "password").write_text("hush\n")
            (folder / "ca.crt").write_bytes(crt.read_bytes())
            shared = {
                "address": server.address,
                "passwordFile": "password",
                "tls": {"caFile": "ca.crt"},
                "timeout": PATIENT,
            }
            target = attacked(
                folder,
                limits={"requestsPerMinute": {"principal": RATE}},
                live={"sharedRates": shared},
            )
            made.append(stack.enter_context(target))
        yield made


async def ask(target: Attacked, count: int) -> list[Answer]:
    line = await dial(target.port)
    answers = [await line.ask(Speaker("2025-11-25").call("echo", text="a")) for _ in range(count)]
    line.close()
    return answers


async def test_two_processes_share_and_go_on_through_the_end_of_the_store(
    replicas: list[Attacked], guarded: tuple[RedisServer, Path]
) -> None:
    server, _ = guarded
    loop = asyncio.get_running_loop()
    since = loop.time()

    together = await asyncio.gather(*(ask(target, RATE) for target in replicas for _ in range(2)))
    statuses = statuses_of(together)
    refilled = (loop.time() - since) * RATE / 60

    assert statuses.keys() == {200, 429}
    assert RATE <= statuses[200] <= RATE + refilled + 1
    limited = next(each for each in together[0] if each.status == 429)
    assert limited.header("retry-after") == "1"

    # The end comes in the middle of many requests; none fails for it.
    ending = threading.Timer(0.2, server.kill)
    ending.start()
    through = await asyncio.gather(*(ask(target, 400) for target in replicas for _ in range(2)))
    await asyncio.to_thread(ending.join)
    for target in replicas:
        await asyncio.to_thread(target.until, is_away(target))
        target.assert_well()
    assert statuses_of(through).keys() <= {200, 429}

    server.start()
    for target in replicas:
        await asyncio.to_thread(target.until, is_back(target))
        assert target.metric("mcp_shared_rate_charges_total", counted="shared") > 0


def is_away(target: Attacked) -> Callable[[], bool]:
    return lambda: target.metric("mcp_shared_rate_store_away") == 1


def is_back(target: Attacked) -> Callable[[], bool]:
    return lambda: target.metric("mcp_shared_rate_store_away") == 0


def statuses_of(answers: list[list[Answer]]) -> Counter[int]:
    return Counter(each.status for line in answers for each in line)
