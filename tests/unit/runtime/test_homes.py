"""Every pod chooses the same home for a principal, and few principals move when pods do."""

from collections.abc import Sequence

import pytest

from breakwater_runtime.protocol.homes import Homes, resolver
from breakwater_runtime.protocol.session_ids import Pod

PODS = {f"10.0.0.{number}:9465": Pod(f"10.0.0.{number}:9465", f"pod-{number}") for number in "1234"}
PRINCIPALS = [f"team-{number}" for number in range(200)]


class Cluster:
    """Who is there."""

    def __init__(self) -> None:
        self.there = dict(PODS)
        self.has_dns = True

    async def resolve(self) -> Sequence[str]:
        if not self.has_dns:
            raise OSError("no DNS")
        return sorted(PODS)

    async def introduce(self, address: str) -> Pod | None:
        pod = self.there.get(address)
        return None if pod is None else Pod(pod.address, pod.uid)  # as if read anew

    def seen_by(self, pod: Pod) -> Homes:
        return Homes(pod, self.resolve, self.introduce, lambda: pod.address in self.there)


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


async def chosen(cluster: Cluster) -> list[dict[str, str]]:
    """Say for each pod that is there what it takes for the homes."""
    found = []
    for pod in cluster.there.values():
        homes = cluster.seen_by(pod)
        await homes.look()
        found.append({each: (homes.of(each) or pod).uid for each in PRINCIPALS})
    return found


async def test_all_pods_choose_the_same_and_each_is_chosen(cluster: Cluster) -> None:
    first, *others = await chosen(cluster)

    assert all(each == first for each in others)
    shares = [list(first.values()).count(pod.uid) for pod in PODS.values()]
    assert min(shares) > len(PRINCIPALS) / len(PODS) / 2


async def test_only_those_move_whose_home_went_away(cluster: Cluster) -> None:
    before = (await chosen(cluster))[0]
    del cluster.there["10.0.0.2:9465"]
    after = (await chosen(cluster))[0]

    moved = {each for each in PRINCIPALS if before[each] != after[each]}
    assert moved == {each for each in PRINCIPALS if before[each] == "pod-2"}


async def test_until_it_has_looked_and_when_it_is_alone_everybody_is_at_home(
    cluster: Cluster,
) -> None:
    here = PODS["10.0.0.1:9465"]
    homes = cluster.seen_by(here)
    assert homes.of("alice") is None

    cluster.there = {here.address: here}
    await homes.look()

    assert [homes.of(each) for each in PRINCIPALS] == [None] * len(PRINCIPALS)


async def test_one_that_is_to_stop_sends_its_own_to_others(cluster: Cluster) -> None:
    here = PODS["10.0.0.1:9465"]
    homes = cluster.seen_by(here)
    del cluster.there[here.address]
    await homes.look()

    assert None not in {homes.of(each) for each in PRINCIPALS}


async def test_a_lost_pod_is_done_without_until_it_is_seen_again(cluster: Cluster) -> None:
    here = PODS["10.0.0.1:9465"]
    homes = cluster.seen_by(here)
    await homes.look()
    away = next(each for each in PRINCIPALS if homes.of(each) is not None)
    lost = homes.of(away)
    assert lost is not None

    homes.lost(lost)
    assert homes.of(away) != lost
    await homes.look()

    assert homes.of(away) == lost


async def test_pods_are_not_forgotten_while_there_is_no_dns(cluster: Cluster) -> None:
    homes = cluster.seen_by(PODS["10.0.0.1:9465"])
    await homes.look()
    cluster.has_dns = False
    await homes.look()

    assert homes.others == len(PODS) - 1


@pytest.mark.parametrize(
    ("name", "address"),
    [
        ("127.0.0.1", "127.0.0.1:9465"),
        ("127.0.0.1:9", "127.0.0.1:9"),
        ("::1", "[::1]:9465"),
        ("[::1]:9", "[::1]:9"),
    ],
)
async def test_names_have_a_port_or_that_of_ours(name: str, address: str) -> None:
    assert await resolver([name], 9465)() == [address]
