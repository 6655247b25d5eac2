"""The whole status of a server."""

from typing import Any

from breakwater_operator.status.facts import Facts


def conclude(facts: Facts) -> dict[str, Any]:
    """Write the status that follows from the facts.

    Facts that say the same give the same status, so that nothing is written while nothing changes.
    """
    raise NotImplementedError
