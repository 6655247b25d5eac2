"""Several backends as one, for all that leads to them."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from breakwater_contract.gateway import Gateway as Settings
from breakwater_runtime.backends.backend import Backend
from breakwater_runtime.backends.gateway import Gateway, Member


def compose(
    members: Sequence[Member],
    settings: Settings | None,
    server_info: Mapping[str, Any],
    hold: Callable[[bytes], bytes] = lambda result: result,
) -> Backend:
    """Make one backend of all.

    One alone stands for itself, unless it is to be served as several are: between a caller and its
    tools there is nothing to pass through.

    Args:
        members: The backends.
        settings: How several are served as one; None: as the defaults say, where there are several.
        server_info: What is said of the server as a whole.
        hold: Refuses a result that is too large.
    """
    if settings is None and len(members) == 1:
        return members[0].backend
    return Gateway(members, settings or Settings(), server_info, hold)
