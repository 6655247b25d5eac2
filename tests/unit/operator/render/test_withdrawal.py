"""Keys that left their Secret are taken away, and nothing else is changed."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from breakwater_operator.api.models import McpServer
from breakwater_operator.render import (
    Intent,
    internal_secret,
    live,
    live_objects,
    revision,
    ring,
    secrets,
    withdrawal,
)
from dev import golden
from tests.unit.operator.render.test_secrets import copied, secret

CASE = golden.cases(Path(__file__).parents[4])[0]
SERVER = McpServer.parse(CASE.documents[0])


@dataclass(frozen=True)
class Named:
    """A server whose spec nobody can read."""

    name: str = "web"
    namespace: str = "team-a"
    uid: str = "u"


def source(**data: bytes) -> dict[str, Any]:
    found = secret(**data)
    return found | {"metadata": found["metadata"] | {"name": "clients"}}


BOTH = {"alice": b"one\n# old\ntwo\n", "bob": b"three"}


@pytest.mark.parametrize(
    ("said", "left"),
    [
        pytest.param({"alice": BOTH["alice"]}, {"alice": BOTH["alice"]}, id="entry"),
        pytest.param({**BOTH, "alice": b"one\n"}, {**BOTH, "alice": b"one\n"}, id="line"),
        pytest.param({**BOTH, "alice": b"new"}, {**BOTH, "alice": b""}, id="replaced"),
        pytest.param(
            {**BOTH, "alice": b"one expires=2027-01-01T00:00:00Z\ntwo\nnew"},
            {**BOTH, "alice": b"one expires=2027-01-01T00:00:00Z\ntwo\n"},
            id="ends-sooner-and-one-is-new",
        ),
        pytest.param({"alice": BOTH["bob"], "eve": b"four"}, {"alice": b""}, id="moved"),
        pytest.param({}, {}, id="all"),
    ],
)
def test_copies_of_keys_that_left_their_secret_are_taken_away(
    said: dict[str, bytes], left: dict[str, bytes]
) -> None:
    copy = copied("clients", **BOTH)

    made = withdrawal.withdrawn(Named(), copy, source(**said))

    assert made is not None
    assert secrets.principals(made) == left
    assert made["data"][".hash-key"] == copy["data"][".hash-key"]
    assert secrets.copied_from(made) == "clients"
    assert withdrawal.withdrawn(Named(), made, source(**said)) is None


@pytest.mark.parametrize(
    "found",
    [
        pytest.param(source(**BOTH), id="same"),
        pytest.param(source(**BOTH, eve=b"four"), id="one-more"),
        pytest.param(source(**{**BOTH, "alice": b"two\none\nnew"}), id="one-more-line"),
        # As while the manifest is good.
        pytest.param(None, id="gone"),
    ],
)
def test_nothing_is_written_where_no_key_was_withdrawn(found: Any) -> None:
    assert withdrawal.withdrawn(Named(), copied("clients", **BOTH), found) is None


@pytest.mark.parametrize(
    ("copy", "name"),
    [
        pytest.param(copied("clients"), "clients", id="the-users"),
        pytest.param(copied("web-keys"), None, id="generated"),
        pytest.param(secret(), None, id="not-noted"),
        pytest.param(None, None, id="no-copies"),
    ],
)
def test_the_secret_of_the_user_is_followed(copy: Any, name: str | None) -> None:
    assert withdrawal.followed(Named(), copy) == name


def test_the_state_of_live_objects_is_named_as_it_is_where_they_are_rendered() -> None:
    intent = Intent(
        SERVER,
        golden.PLATFORM,
        revision.current(SERVER, golden.PLATFORM, ()),
        secrets.resolve(SERVER, None, None, golden.SEED, golden.FRESH),
        ring.first(SERVER, golden.NOW, golden.FRESH),
        (golden.OPERATOR_KEY,),
    )
    config_map, copy = live_objects.live_config_map(intent), live_objects.live_secret(intent)
    internal, template = internal_secret.internal_secret(intent), intent.revision.template

    assert live.held(config_map, copy, internal, template) == live.wanted(intent)
    assert live.held(config_map, copy, None, template) is None
    assert live.held(config_map, copy | {"data": {}}, internal, template) is None
