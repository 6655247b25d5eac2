"""Other operators that look after the same servers: each undoes what the other writes."""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from breakwater_operator.api import names
from breakwater_operator.api.reasons import Reason
from breakwater_operator.kube.kinds import CONFIG_MAP
from breakwater_operator.reconcile.plan import Child
from breakwater_operator.reconcile.queue import Key
from breakwater_operator.status.facts import Problem

Object = dict[str, Any]

TIMES = 5
"""How often another operator must have written over what was ours: one that follows another one, as
after a new installation, does so once."""

APART_SECONDS = 30.0
"""Between two passes over a server that two look after: else each write of one wakes the other."""

CALM_SECONDS = 45.0
"""How long nobody may have written over ours until nobody is left who would: longer than that."""


@dataclass
class _Rival:
    seen_at: float
    """When its writing was last seen."""
    looked_at: float
    times: int = 0
    is_answered: bool = False
    """Whether ours was written again since."""

    @property
    def is_there(self) -> bool:
        return self.times >= TIMES


@dataclass(frozen=True)
class Rivals:
    """Says which servers another operator looks after too, and has them looked at seldom.

    An operator is known by its keys: they stand in the live settings of every server, and those of
    another installation are others.
    """

    clock: Callable[[], float] = time.monotonic
    known: dict[Key, _Rival] = field(default_factory=dict)
    """Those whose settings somebody else has lately written."""

    def wait_seconds(self, key: Key) -> float:
        """How long to leave a server alone; 0 where nobody else looks after it."""
        rival = self.known.get(key)
        if rival is None or not rival.is_there:
            return 0.0
        return max(0.0, rival.looked_at + APART_SECONDS - self.clock())

    def look(self, key: Key, children: Sequence[Child]) -> list[Problem]:
        """Say whether another operator looks after a server too.

        Args:
            key: The server.
            children: Its children as they were found, before anything was put right.
        """
        now, rival = self.clock(), self.known.get(key)
        if _is_anothers(key[1], children):
            if rival is None or now - rival.seen_at > APART_SECONDS + CALM_SECONDS:
                rival = self.known[key] = _Rival(now, now)
            rival.times += rival.is_answered
            rival.seen_at, rival.is_answered = now, False
        elif rival is not None and now - rival.seen_at > CALM_SECONDS:
            self.drop(key)
            rival = None
        if rival is None:
            return []
        rival.looked_at = now
        return [CONTESTED] if rival.is_there else []

    def answered(self, key: Key) -> None:
        """Take note that the children of a server are ours again."""
        if (rival := self.known.get(key)) is not None:
            rival.is_answered = True

    def drop(self, key: Key) -> None:
        """Forget a server that is gone."""
        self.known.pop(key, None)


CONTESTED = Problem(
    Reason.OPERATOR_CONTESTED,
    "another operator looks after this McpServer too, and each undoes what the other one writes; "
    "let them look at different namespaces (watchNamespaces of the chart), or give one of them an "
    "operatorClass (platform.operatorClass)",
)


def _is_anothers(server: str, children: Sequence[Child]) -> bool:
    """Whether the live settings of a server name the keys of another operator."""
    wanted = CONFIG_MAP, names.live(server)
    settings = next(child for child in children if (child.kind, child.name) == wanted)
    ours = settings.desired["data"]
    theirs = (settings.live or {}).get("data") or {}
    if theirs == ours:
        return False
    found = _keys(theirs)
    return bool(found) and found.isdisjoint(_keys(ours))


def _keys(data: Mapping[str, str]) -> set[str]:
    """The ids of the operator's keys in settings; somebody may have spoiled these."""
    found = set()
    for text in data.values():
        try:
            found |= {key["kid"] for key in json.loads(text)["operatorKeys"]}
        except (ValueError, KeyError, TypeError):
            continue
    return found
