"""What a gateway and its policies cost, as rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench import gateway, policies
from bench.pages import number
from bench.report import Bound, Row
from bench.spread import spread

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bench.gateway import Overhead


def gateway_rows(rounds: Sequence[Overhead]) -> Iterable[Row]:
    """Hold what the gateway adds against its bound."""
    through = spread(each.through_p95_ms for each in rounds).median
    direct = spread(each.direct_p95_ms for each in rounds).median
    yield Row(
        what=f"gateway of {gateway.REMOTES} remote backends, {gateway.CONNECTIONS} connections, "
        f"{gateway.PER_SECOND} calls per second: p95 of `{gateway.TOOL}`, less that at the server "
        "itself",
        figure=spread(each.added_ms for each in rounds).median,
        unit="ms",
        bound=Bound(5.0, at_least=False),
        note=f"{number(through)} ms and {number(direct)} ms from when each call was due; the "
        "backends are one process by ten names",
    )


def policy_rows(found: policies.Found) -> Iterable[Row]:
    """Hold decisions, and a change of the rules, against their bounds."""
    rules = number(policies.RULES)
    for kind, figure, bound in (
        ("remembered", found.cached_p99_us, 50.0),
        ("made anew", found.cold_p99_us, 1000.0),
    ):
        yield Row(
            what=f"{rules} policies from a settings file: p99 of a decision that is {kind}",
            figure=figure,
            unit="us",
            bound=Bound(bound, at_least=False),
        )
    yield Row(
        what=f"{rules} policies, changed in the file: the slowest of "
        f"{len(found.in_force_seconds)} changes to be in force",
        figure=max(found.in_force_seconds),
        unit="s",
        bound=Bound(2.0, at_least=False),
    )
