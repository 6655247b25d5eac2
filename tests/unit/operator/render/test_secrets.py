"""Which keys open a server."""

import base64
from typing import Any

import pytest

from breakwater_operator.api.models import McpServer
from breakwater_operator.api.reasons import Reason
from breakwater_operator.render import secrets
from breakwater_operator.render.secrets import Keys

SEED, FRESH = b"s" * 32, b"f" * 32
NEW = base64.urlsafe_b64encode(FRESH).rstrip(b"=")
OLD = b"the-key-of-yesterday"


def server(secret_name: str | None = None) -> McpServer:
    keys = {"keys": {"secretName": secret_name}} if secret_name else {}
    spec = {"backends": [{"python": {"server": "a:b"}}], "access": keys}
    metadata = {"name": "web", "namespace": "team-a", "uid": "u"}
    return McpServer.parse({"metadata": metadata, "spec": spec})


def secret(annotations: Any = None, **data: bytes) -> dict[str, Any]:
    encoded = {key: base64.b64encode(value).decode() for key, value in data.items()}
    return {"metadata": {"annotations": annotations or {}}, "data": encoded}


def generated(key: bytes, content: bytes | None = None) -> dict[str, Any]:
    """The generated Secret: made for `key`, edited to `content`."""
    annotations = {secrets.GENERATED_ANNOTATION: secrets.digest(key)}
    return secret(annotations, default=key if content is None else content)


def copied(source: str, **data: bytes) -> dict[str, Any]:
    return secret({secrets.SOURCE_ANNOTATION: source}, **{**data, ".hash-key": b"h"})


def resolve(source: Any, copy: Any, secret_name: str | None = None) -> Keys:
    return secrets.resolve(server(secret_name), source, copy, SEED, FRESH)


@pytest.mark.parametrize(
    ("source", "copy", "key", "changed"),
    [
        pytest.param(None, None, NEW, False, id="first-time"),
        pytest.param(generated(OLD), None, OLD, False, id="kept"),
        pytest.param(
            generated(OLD) | {"data": generated(OLD)["data"] | {"x": "eA=="}},
            None, OLD, False, id="kept-without-what-was-added",
        ),
        pytest.param(None, copied("web-keys", default=OLD), NEW, True, id="deleted"),
        pytest.param(
            generated(OLD, b"edited"), copied("web-keys", default=OLD), OLD, False, id="edited"
        ),
        pytest.param(
            generated(OLD, b""), copied("web-keys", default=OLD), OLD, False, id="emptied"
        ),
        pytest.param(
            secret(default=b"edited"), copied("web-keys", default=OLD), OLD, False,
            id="annotation-lost",
        ),
        pytest.param(generated(OLD, b"edited"), None, NEW, False, id="edited-without-a-copy"),
        pytest.param(
            None, copied("clients", default=OLD), NEW, False, id="copy-of-another-secret"
        ),
        pytest.param(
            generated(OLD), copied("web-keys", default=b"edited"), OLD, False, id="copy-edited"
        ),
    ],
)  # fmt: skip
def test_a_generated_key_is_kept_restored_or_made_anew(
    source: Any, copy: Any, key: bytes, changed: bool
) -> None:
    keys = resolve(source, copy)

    assert (keys.principals, keys.changed) == ({"default": key}, changed)
    assert keys.generated
    assert keys.wait is None


def test_the_keys_of_a_named_secret_are_taken_as_they_are() -> None:
    source = secret(alice=b"one\ntwo\n", bob=b"three", **{".hidden": b"x"})

    keys = resolve(source, None, "clients")

    assert keys.principals == {"alice": b"one\ntwo\n", "bob": b"three"}
    assert not keys.generated


@pytest.mark.parametrize(
    ("source", "copy", "principals", "reason", "says"),
    [
        pytest.param(
            None, None, {}, Reason.KEY_SECRET_MISSING, "Secret team-a/clients does not exist;",
            id="missing",
        ),
        pytest.param(
            None, copied("clients", alice=b"one"), {"alice": b"one"}, Reason.KEY_SECRET_MISSING,
            "the keys it had last stay valid", id="missing-since",
        ),
        pytest.param(secret(), None, {}, Reason.KEY_SECRET_EMPTY, "has no key", id="empty"),
        pytest.param(
            secret(alice=b"# later\n\n"), None, {"alice": b"# later\n\n"}, Reason.KEY_SECRET_EMPTY,
            "has no key", id="comments-only",
        ),
    ],
)  # fmt: skip
def test_a_missing_secret_is_waited_for(
    source: Any, copy: Any, principals: dict[str, bytes], reason: Reason, says: str
) -> None:
    keys = resolve(source, copy, "clients")

    assert keys.principals == principals
    assert keys.wait is not None
    assert keys.wait.reason is reason
    assert says in str(keys.wait)


def owned(generated: dict[str, Any], uid: str = "u") -> dict[str, Any]:
    metadata = generated["metadata"] | {"ownerReferences": [{"uid": uid, "controller": True}]}
    return generated | {"metadata": metadata}


@pytest.mark.parametrize(
    ("found", "copy", "key"),
    [
        pytest.param(generated(OLD), copied("web-keys", default=OLD), OLD, id="counts"),
        pytest.param(
            generated(OLD, b"edited"), copied("web-keys", default=OLD), OLD, id="edited"
        ),
        pytest.param(owned(generated(OLD)), None, OLD, id="copies-lost"),
        pytest.param(None, copied("web-keys", default=OLD), None, id="withdrawn"),
        pytest.param(generated(OLD), copied("clients"), None, id="another-was-taken-over"),
        pytest.param(generated(OLD), None, None, id="retained"),
        pytest.param(owned(generated(OLD), "v"), None, None, id="of-an-earlier-server"),
    ],
)  # fmt: skip
def test_a_generated_key_counts_until_the_secret_that_is_to_replace_it_is_there(
    found: Any, copy: Any, key: bytes | None
) -> None:
    keys = secrets.resolve(server("typo"), None, copy, SEED, FRESH, found)

    assert keys.principals == ({"default": key} if key else {})
    assert keys.generated == bool(key)
    assert keys.secret_name == ("web-keys" if key else "typo")
    assert keys.wait is not None
    assert keys.wait.reason is Reason.KEY_SECRET_MISSING
    assert ("generated key of Secret web-keys stays valid" in str(keys.wait)) == bool(key)
    assert not keys.changed


def test_a_generated_key_ends_with_the_secret_that_replaces_it() -> None:
    copy = copied("web-keys", default=OLD)

    keys = secrets.resolve(server("clients"), secret(alice=b"one"), copy, SEED, FRESH)

    assert keys.principals == {"alice": b"one"}
    assert not keys.generated


def test_the_hash_key_is_the_servers_own_and_always_the_same() -> None:
    first, again = resolve(None, None), resolve(generated(OLD), None)
    other = secrets.resolve(server().model_copy(update={"uid": "v"}), None, None, SEED, FRESH)

    assert first.hash_key == again.hash_key
    assert first.hash_key != other.hash_key


def test_keys_are_not_shown() -> None:
    assert NEW.decode() not in repr(resolve(None, None))
