import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from breakwater_contract.ring import KeyRing, RingKey
from breakwater_runtime.sealing import Purpose, Ring, SealError


def ring(active: str, *ids: str) -> Ring:
    keys = tuple(RingKey(id=each, secret=secret(each)) for each in ids)
    return Ring(KeyRing(active=active, keys=keys))


def secret(key_id: str) -> str:
    return base64.urlsafe_b64encode(key_id.encode().ljust(32, b".")).rstrip(b"=").decode()


@given(st.binary(max_size=300))
def test_what_was_sealed_opens_again(content: bytes) -> None:
    one = ring("a", "a")

    sealed = one.seal(Purpose.SESSION, content)

    assert one.open(Purpose.SESSION, sealed) == content
    assert sealed.isascii()
    assert sealed.replace("-", "").replace("_", "").isalnum()


@pytest.mark.requirement("G4")
def test_nothing_sealed_twice_looks_the_same() -> None:
    one = ring("a", "a")

    assert len({one.seal(Purpose.SESSION, b"same") for _ in range(100)}) == 100


def test_every_key_of_the_ring_opens() -> None:
    old, both, new = ring("a", "a"), ring("b", "a", "b"), ring("b", "b")

    assert both.open(Purpose.SESSION, old.seal(Purpose.SESSION, b"x")) == b"x"
    assert new.open(Purpose.SESSION, both.seal(Purpose.SESSION, b"x")) == b"x"
    with pytest.raises(SealError):
        new.open(Purpose.SESSION, old.seal(Purpose.SESSION, b"x"))


def test_what_was_sealed_for_one_purpose_opens_for_no_other() -> None:
    one = ring("a", "a")
    sealed = one.seal(Purpose.SESSION, b"x")

    for purpose in set(Purpose) - {Purpose.SESSION}:
        with pytest.raises(SealError):
            one.open(purpose, sealed)


def test_a_key_of_another_server_opens_nothing() -> None:
    sealed = Ring.fresh().seal(Purpose.SESSION, b"x")

    with pytest.raises(SealError):
        Ring.fresh().open(Purpose.SESSION, sealed)


@given(st.data())
def test_any_changed_bit_is_noticed(data: st.DataObject) -> None:
    one = ring("a", "a")
    raw = bytearray(base64.urlsafe_b64decode(pad(one.seal(Purpose.SESSION, b"content"))))
    place = data.draw(st.integers(0, len(raw) * 8 - 1))

    raw[place // 8] ^= 1 << place % 8

    with pytest.raises(SealError):
        one.open(Purpose.SESSION, base64.urlsafe_b64encode(bytes(raw)).rstrip(b"=").decode())


@given(st.text(max_size=100))
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(SealError):
        ring("a", "a").open(Purpose.SESSION, text)


def pad(text: str) -> str:
    return text + "=" * (-len(text) % 4)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param({"active": "b", "keys": [{"id": "a", "secret": secret("a")}]}, id="no-active"),
        pytest.param({"active": "a", "keys": []}, id="empty"),
        pytest.param({"active": "a", "keys": [{"id": "a", "secret": "short"}]}, id="short"),
        pytest.param({"active": "a", "keys": [{"id": "a", "secret": secret("a")}] * 2}, id="twice"),
        pytest.param(
            {"active": "a", "keys": [{"id": "a", "secret": secret("a")}], "version": 2},
            id="version",
        ),
    ],
)
def test_a_ring_that_makes_no_sense_is_refused(content: object) -> None:
    with pytest.raises(ValidationError):
        KeyRing.model_validate(content)


def test_a_key_is_never_shown() -> None:
    key = RingKey(id="a", secret=secret("a"))

    assert key.secret not in repr(KeyRing(active="a", keys=(key,)))
