"""What we know of the protocol by heart is what the SDK's types say."""

import mcp_types
import pytest
from mcp.shared import inbound
from mcp_types import methods, version

from breakwater_contract import mcp

NAMES = sorted(name for name in vars(mcp) if name.isupper())


@pytest.mark.parametrize("name", NAMES)
def test_names_and_numbers_are_those_of_the_sdk(name: str) -> None:
    places = (mcp_types, version, methods, inbound)
    theirs = next(getattr(place, name) for place in places if hasattr(place, name))

    assert getattr(mcp, name) == theirs


def test_every_revision_that_the_sdk_knows_is_known_here() -> None:
    ours = (*mcp.HANDSHAKE_PROTOCOL_VERSIONS, *mcp.MODERN_PROTOCOL_VERSIONS)

    assert ours == version.KNOWN_PROTOCOL_VERSIONS
