"""Hosts that several servers ask for: which one of them gets the requests, and who is told."""

from collections.abc import Callable, Iterable
from typing import Any

from breakwater_operator.api.reasons import Reason
from breakwater_operator.kube.kinds import HTTP_ROUTE, INGRESS
from breakwater_operator.reconcile.queue import Key
from breakwater_operator.reconcile.world import World
from breakwater_operator.render import Intent, exposure
from breakwater_operator.status.facts import Problem

Object = dict[str, Any]

Place = tuple[str, str]
"""What leads to a server from outside, and the host for which it does."""

NOT_YET = "not yet"
"""Since when there is the route of a server that has none: later than any date."""


class Hosts:
    """Who has which host.

    Controllers send the requests of a host to the oldest Ingress or HTTPRoute that has it, and say
    nothing to whoever made the others. So it is told here.
    """

    def __init__(self, world: World, changed: Callable[[Key], None]) -> None:
        """Know of no server yet.

        Args:
            world: Where the routes are.
            changed: Told of each server that has to be looked at again, since another one got or
                lost its host.
        """
        self._world = world
        self._changed = changed
        self._places: dict[Place, dict[Key, str]] = {}
        self._of: dict[Key, Place] = {}

    def claim(self, intent: Intent) -> list[Problem]:
        """Take note of a server's host; say so where another server has it.

        To be asked once the routes are written.
        """
        key = intent.server.namespace, intent.server.name
        expose, through = intent.server.spec.expose, exposure.entrance(intent)
        place = (through, expose.host) if expose is not None and through is not None else None
        kind = HTTP_ROUTE if exposure.gateway(intent) else INGRESS
        first = self._note(key, place, self._world.children[kind].get(*key))
        if place is None or first is None or first == key:
            return []
        return [_taken(place, first, is_near=first[0] == key[0])]

    def look(self, servers: Iterable[Key]) -> None:
        """Take note of what leads to servers already.

        Who comes to lead passes over one after the other, and the first one may have its host from
        none of those that are yet to come.
        """
        for key in servers:
            self.keep(key)

    def keep(self, key: Key) -> None:
        """Take note of the host of a server that nothing is written of: what there is leads to it.

        Its manifest may say something else by now, or nothing that can be read.
        """
        for kind in (HTTP_ROUTE, INGRESS):
            live = self._world.children[kind].get(*key)
            if live is not None and (place := exposure.leads(live)) is not None:
                self._note(key, place, live)
                return
        self.drop(key)

    def drop(self, key: Key) -> None:
        """Forget a server that is gone, or nothing leads to any longer."""
        if (place := self._of.pop(key, None)) is None:
            return
        others = self._places[place]
        had_it = _first(others) == key
        del others[key]
        if had_it:
            self._tell(others, key)
        if not others:
            del self._places[place]

    def _note(self, key: Key, place: Place | None, live: Object | None) -> Key | None:
        """Take note of who asks for a host, and say who has it."""
        if self._of.get(key) != place:
            self.drop(key)
        if place is None:
            return None
        self._of[key] = place
        others = self._places.setdefault(place, {})
        before = _first(others)
        others[key] = NOT_YET if live is None else str(live["metadata"]["creationTimestamp"])
        first = _first(others)
        if first != before:
            self._tell(others, key)
        return first

    def _tell(self, others: dict[Key, str], key: Key) -> None:
        for other in sorted(others.keys() - {key}):
            self._changed(other)


def _first(claims: dict[Key, str]) -> Key | None:
    """Who has it: whose route is oldest, and of those of one second the first by name."""
    return min(claims, key=lambda key: (claims[key], key), default=None)


def _taken(place: Place, by: Key, *, is_near: bool) -> Problem:
    through, host = place
    # What there is in other namespaces, and what it is called, is not for everybody to know.
    whose = f"McpServer {'/'.join(by)}" if is_near else "an McpServer of another namespace"
    rid = "take it from the other server" if is_near else "ask who runs the cluster whose it is"
    return Problem(
        Reason.HOST_TAKEN,
        f"spec.expose.host: {host} is taken: {through} leads to {whose} for it, "
        f"whose route is older; write another host, or {rid}",
    )
