import hashlib
from datetime import UTC, datetime

import pytest

from breakwater_runtime.http.keys import parse

NOW = datetime(2026, 11, 21, tzinfo=UTC)
DIGEST = hashlib.sha256(b"hashed-key").hexdigest()


def test_a_principal_may_have_several_keys_plain_and_hashed() -> None:
    keyring, faults = parse(
        {"alice": f"# two keys\n\n first-key \r\nsha256:{DIGEST.upper()}\n".encode()}
    )

    assert faults == []
    for key in (b"first-key", b"hashed-key"):
        found = keyring.find(key)
        assert found is not None
        assert found.principal.name == "alice"
    assert keyring.find(f"sha256:{DIGEST}".encode()) is None
    assert keyring.find(b"# two keys") is None


@pytest.mark.parametrize(
    ("expires", "expired"),
    [
        ("2026-11-20T23:59:59Z", True),
        ("2026-11-21T00:00:00Z", True),
        ("2026-11-21T00:00:01Z", False),
        ("2026-11-21T01:00:00+01:00", True),
        ("2026-11-21T00:00:00-01:00", False),
    ],
)
def test_a_key_ends_when_its_time_says(expires: str, expired: bool) -> None:
    keyring, faults = parse({"alice": f"the-key expires={expires}".encode()})

    found = keyring.find(b"the-key")
    assert faults == []
    assert found is not None
    assert found.expired(NOW) is expired


@pytest.mark.requirement("W5")
@pytest.mark.parametrize(
    ("name", "line", "fault"),
    [
        pytest.param("alice", "secret two words", "not one key", id="words"),
        pytest.param("alice", "secret until=2027", "not one key", id="option"),
        pytest.param("alice", "sha256:secret", "not the digest of a key", id="digest"),
        pytest.param("alice", "secret-\u00e9", "visible ASCII", id="not-ascii"),
        pytest.param("alice", "secret" * 200, "visible ASCII", id="long"),
        pytest.param("alice", "secret expires=soon", "not a time like", id="time"),
        pytest.param("alice", "secret expires=2027-01-31T00:00:00", "offset", id="no-offset"),
        pytest.param("breakwater:operator", "secret", "not a name", id="reserved"),
        pytest.param("-x", "secret", "not a name", id="name"),
    ],
)
def test_a_fault_says_where_and_never_repeats_a_key(name: str, line: str, fault: str) -> None:
    keyring, faults = parse({name: f"#\n{line}".encode()})

    assert len(faults) == 1
    assert faults[0].startswith((f"{name}: line 2: ", f"{name!r}: "))
    assert fault in faults[0]
    assert "secret" not in faults[0]
    assert len(keyring) == 0


def test_one_key_belongs_to_one_principal() -> None:
    _, faults = parse({"alice": b"same-key", "bob": f"sha256:{_digest('same-key')}".encode()})

    assert faults == ["bob: line 1: the key stands under alice already"]


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()
