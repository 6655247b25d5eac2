import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from cryptography import x509

from breakwater_contract.names import INTERNAL_CA_FILE, INTERNAL_CERTIFICATE_FILE, RING_FILE
from breakwater_contract.ring import KeyRing
from breakwater_operator.api.models import McpServer
from breakwater_operator.render import ring
from breakwater_operator.render.ring import FORGOTTEN_AFTER, ROTATED_AFTER, STATE_FILE, Ring
from tests.support import pods

NOW = datetime(2026, 11, 21, 9, tzinfo=UTC)
FIRST, SECOND = bytes(32), bytes([1] * 32)


@pytest.fixture
def server() -> McpServer:
    return pods.server()


def keys(of: Ring) -> KeyRing:
    return KeyRing.model_validate_json(of.files()[RING_FILE])


def steps(server: McpServer) -> Iterator[tuple[datetime, Ring]]:
    """Go through a rotation whose every step is loaded at once."""
    now, current = NOW, ring.first(server, NOW, FIRST)
    for wait in (ROTATED_AFTER, timedelta(0), FORGOTTEN_AFTER):
        yield now, current
        now += wait
        current = ring.advanced(current, server, now, SECOND, is_loaded=True)
    yield now, current


def test_a_rotation_takes_three_steps(server: McpServer) -> None:
    rings = [each for _, each in steps(server)]

    old, new = rings[0].active.id, rings[-1].active.id
    assert old != new
    assert [(each.active, [key.id for key in each.keys]) for each in map(keys, rings)] == [
        (old, [old]),
        (old, [old, new]),
        (new, [old, new]),
        (new, [new]),
    ]


def test_no_step_is_taken_before_every_pod_has_the_last(server: McpServer) -> None:
    for now, current in steps(server):
        late = now + ROTATED_AFTER + FORGOTTEN_AFTER

        assert ring.advanced(current, server, late, SECOND, is_loaded=False) == current


def test_nothing_happens_before_its_time(server: McpServer) -> None:
    (_, first), _, (changed, third), _ = steps(server)
    moment = timedelta(seconds=1)

    for now, current in [(NOW + ROTATED_AFTER, first), (changed + FORGOTTEN_AFTER, third)]:
        early = ring.advanced(current, server, now - moment, SECOND, is_loaded=True)
        assert early == current


def test_pods_of_two_neighbouring_steps_open_and_trust_each_other(server: McpServer) -> None:
    rings = [each for _, each in steps(server)]

    for one, next_one in pairwise(rings):
        for sender, receiver in [(one, next_one), (next_one, one)]:
            assert keys(sender).active in {key.id for key in keys(receiver).keys}
            assert sender.active.authority in receiver.files()[INTERNAL_CA_FILE].decode()


def test_what_was_written_is_read_again(server: McpServer) -> None:
    for _, current in steps(server):
        assert ring.read({"data": current.data()}) == current


@pytest.mark.parametrize(
    "held",
    [
        None,
        {},
        {"data": None},
        {"data": {STATE_FILE: "e30="}},
        {"data": {STATE_FILE: "no base64"}},
        {"data": {RING_FILE: "e30="}},
    ],
)
def test_what_is_not_ours_is_not_taken_for_a_ring(held: Any) -> None:
    assert ring.read(held) is None


def test_a_time_without_a_zone_is_none_of_ours(server: McpServer) -> None:
    made = ring.first(server, NOW, FIRST)
    naive = made.generations[0].model_copy(update={"made": NOW.replace(tzinfo=None)})

    held = made.model_copy(update={"generations": (naive,)})

    assert ring.read({"data": held.data()}) is None


def test_the_same_bytes_and_time_make_the_same_ring(server: McpServer) -> None:
    assert ring.first(server, NOW, FIRST) == ring.first(server, NOW, FIRST)
    assert ring.first(server, NOW, FIRST).active.id != ring.first(server, NOW, SECOND).active.id


def test_no_secret_is_shown(server: McpServer) -> None:
    made = ring.first(server, NOW, FIRST)

    assert made.active.secret not in repr(made)
    assert "PRIVATE" not in repr(made)


def test_the_certificate_is_for_pods_of_this_server_alone(server: McpServer) -> None:
    files = ring.first(server, NOW, FIRST).files()
    (leaf,) = x509.load_pem_x509_certificates(files[INTERNAL_CERTIFICATE_FILE])
    (authority,) = x509.load_pem_x509_certificates(files[INTERNAL_CA_FILE])
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value

    leaf.verify_directly_issued_by(authority)
    assert names.get_values_for_type(x509.DNSName) == [f"{server.uid}.breakwater.internal"]
    assert leaf.not_valid_after_utc - NOW > ROTATED_AFTER * 3
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=files[INTERNAL_CA_FILE].decode())
    assert len(context.get_ca_certs()) == 1
