from dataclasses import fields

import orjson
import pytest

from breakwater_runtime.calls import Principal, Problem, Refused, Request
from breakwater_runtime.protocol import session_ids
from breakwater_runtime.protocol.callers import KEPT_SECONDS, LIFETIME_SECONDS, Callers
from breakwater_runtime.protocol.session_ids import Pod, SessionIds
from breakwater_runtime.sealing import Purpose, Ring, SealError
from tests.unit.runtime.fakes import FakeClock

HERE = Pod("10.0.0.1:9465", "uid-1", "boot-1")
THERE = Pod("10.0.0.2:9465", "uid-2", "boot-2")
LIFETIME = 3600.0


class Two:
    """Two pods of one server, at one time of day."""

    def __init__(self, ring: Ring | None = None) -> None:
        self.clock = FakeClock()
        self.ring = ring or Ring.fresh()
        self.here, self.there = (
            SessionIds(lambda: self.ring, pod, self.clock.elapsed) for pod in (HERE, THERE)
        )


def problem(ids: SessionIds, session_id: str, principal: str = "alice") -> Problem:
    with pytest.raises(Refused) as refused:
        ids.elsewhere(session_id, principal)
    return refused.value.problem


def test_a_peer_reads_from_an_id_where_the_session_is() -> None:
    two = Two()

    found = two.here.elsewhere(two.there.make("alice", LIFETIME), "alice")

    assert found == THERE


@pytest.mark.requirement("G4")
def test_an_id_is_bound_to_its_principal_and_its_time() -> None:
    two = Two()
    session_id = two.there.make("alice", LIFETIME)

    assert problem(two.here, session_id, "bob") is Problem.SESSION_NOT_FOUND
    two.clock.advance(seconds=LIFETIME)
    assert problem(two.here, session_id) is Problem.SESSION_NOT_FOUND


@pytest.mark.requirement("G4")
def test_an_id_that_was_read_before_is_still_bound_to_its_principal_time_and_key() -> None:
    two = Two()
    session_id = two.there.make("alice", LIFETIME)

    assert two.here.elsewhere(session_id, "alice") is two.here.elsewhere(session_id, "alice")
    assert problem(two.here, session_id, "bob") is Problem.SESSION_NOT_FOUND
    ring, two.ring = two.ring, Ring.fresh()
    assert problem(two.here, session_id) is Problem.SESSION_NOT_FOUND
    two.ring = ring
    assert two.here.elsewhere(session_id, "alice") == THERE
    two.clock.advance(seconds=LIFETIME)
    assert problem(two.here, session_id) is Problem.SESSION_NOT_FOUND


def test_few_ids_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_ids, "KEPT_MAX", 3)
    two = Two()
    made = [two.there.make("alice", LIFETIME) for _ in range(10)]

    assert {two.here.elsewhere(each, "alice") for each in made * 2} == {THERE}
    assert len(two.here._kept) == 3


@pytest.mark.requirement("G4")
def test_an_id_that_was_made_up_leads_nowhere() -> None:
    two, others = Two(), Two()

    for made_up in ["", "x", "é", others.there.make("alice", LIFETIME)]:
        assert problem(two.here, made_up) is Problem.SESSION_NOT_FOUND


def test_an_id_of_an_ended_process_of_this_pod_leads_nowhere() -> None:
    two = Two()
    before = SessionIds(lambda: two.ring, Pod(HERE.address, HERE.uid, "boot-0"), two.clock.elapsed)

    assert problem(two.here, before.make("alice", LIFETIME)) is Problem.SESSION_NOT_FOUND


def test_what_a_later_release_says_more_is_passed_over() -> None:
    two = Two()
    content = orjson.loads(two.ring.open(Purpose.SESSION, two.there.make("alice", LIFETIME))) | {
        "colour": "blue",
        "forward": 2,
    }
    session_id = two.ring.seal(Purpose.SESSION, orjson.dumps(content))

    assert two.here.elsewhere(session_id, "alice") == Pod(
        THERE.address, THERE.uid, THERE.boot, version=2
    )


def test_a_long_name_makes_no_long_id() -> None:
    assert len(Two().here.make("jwt:" + "x" * 5000, LIFETIME)) < 400


# Callers


def request(**known: object) -> Request:
    made = Request("r-1", Principal("alice", frozenset({"a", "b"}), frozenset({"tools/list"})))
    made.address, made.secure = "192.0.2.1", True
    return made


def callers(ring: Ring, clock: FakeClock, here: Pod = HERE) -> Callers:
    return Callers(lambda: ring, here, clock.elapsed)


def test_a_peer_learns_all_that_is_known_of_a_caller() -> None:
    ring, clock, sent = Ring.fresh(), FakeClock(), request()
    assert sent.principal is not None

    written = callers(ring, clock).write(sent, sent.principal)
    caller = callers(ring, clock, THERE).read(written.decode())

    assert caller.principal == sent.principal
    assert (caller.address, caller.secure) == ("192.0.2.1", True)
    assert (caller.edge.address, caller.edge.uid) == (HERE.address, HERE.uid)


def test_every_member_of_a_principal_is_told() -> None:
    """A member that is not told would be lost with every request that is passed on."""
    assert {field.name for field in fields(Principal)} == {"name", "scopes", "methods"}


def test_an_assertion_expires_and_is_renewed_before() -> None:
    ring, clock, sent = Ring.fresh(), FakeClock(), request()
    assert sent.principal is not None
    one = callers(ring, clock)

    first = one.write(sent, sent.principal)
    again = one.write(sent, sent.principal)
    clock.advance(seconds=KEPT_SECONDS + 1)
    renewed = one.write(sent, sent.principal)
    clock.advance(seconds=LIFETIME_SECONDS - KEPT_SECONDS)

    assert first == again != renewed
    with pytest.raises(SealError):
        one.read(first.decode())
    assert one.read(renewed.decode()).principal == sent.principal


def test_a_session_id_is_no_assertion() -> None:
    two = Two()

    with pytest.raises(SealError):
        callers(two.ring, two.clock).read(two.here.make("alice", LIFETIME))
