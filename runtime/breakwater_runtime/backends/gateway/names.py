"""Which names several backends give to different things."""

from collections.abc import Collection, Mapping, Sequence

from breakwater_contract.backends import Reason
from breakwater_runtime.backends.backend import Backend, Finding

NAMED_MAX = 10


def clashes(
    backends: Sequence[Backend], reserved: Collection[str] = ()
) -> Mapping[str, Sequence[Finding]]:
    """Say of each backend, by its name, which of its tools others hide.

    Of two tools with one name callers see that of the backend that stands first.

    Args:
        backends: The backends, in their order.
        reserved: Names that the gateway keeps for itself.
    """
    owners = dict.fromkeys(reserved, "the gateway itself")
    found: dict[str, Sequence[Finding]] = {}
    for backend in backends:
        hidden = {tool: owners[tool] for tool in backend.tools if tool in owners}
        owners |= {tool: f"backend {backend.name}" for tool in backend.tools if tool not in owners}
        if hidden:
            found[backend.name] = (Finding(Reason.TOOLS_CLASH, _told(hidden)),)
    return found


def _told(hidden: Mapping[str, str]) -> str:
    named = ", ".join(f"{tool} ({owner})" for tool, owner in sorted(hidden.items())[:NAMED_MAX])
    more = f" and {len(hidden) - NAMED_MAX} more" if len(hidden) > NAMED_MAX else ""
    return (
        f"its tools {named}{more} have names that others have, and are hidden; give the backend a "
        "prefix of its own, or rename them"
    )
