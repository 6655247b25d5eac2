"""Which path leads where, by which methods, and whether it is open."""

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass

from starlette.types import ASGIApp, Receive, Scope, Send

from breakwater_runtime.calls import Problem, Refused


class Routes:
    """Finds the path of the table that a request's path stands for.

    Paths are compared byte by byte. A last segment in braces stands for everything behind the
    slash before it.
    """

    def __init__(self, paths: Iterable[str]) -> None:
        """Know these paths and no others."""
        self._exact = frozenset(path for path in paths if not path.endswith("}"))
        self._prefixes = {
            path.rpartition("/")[0] + "/": path for path in paths if path.endswith("}")
        }

    def __call__(self, path: str) -> str | None:
        """Return the path as the table has it; None: there is nothing."""
        if path in self._exact:
            return path
        for prefix, route in self._prefixes.items():
            if path.startswith(prefix) and len(path) > len(prefix):
                return route
        return None


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One way in."""

    path: str
    app: ASGIApp
    methods: tuple[str, ...] = ()
    """The methods that it is for; empty: any."""
    setting: str | None = None
    """What the settings open and close it by; None: it is always open."""
    by_itself: bool = False
    """Whether it answers other methods itself: which are allowed depends on the request."""


class Endpoints:
    """Hands a request to the endpoint at its path."""

    def __init__(
        self,
        table: Iterable[Endpoint],
        opened: Callable[[], Collection[str]] = tuple,
    ) -> None:
        """Serve the endpoints of a table, those with a setting while `opened` names it."""
        self._table = {endpoint.path: endpoint for endpoint in table}
        self._opened = opened
        self.route = Routes(self._table)

    @property
    def opened(self) -> list[Endpoint]:
        """Those that are open now."""
        return [each for each in self if each.setting is None or each.setting in self._opened()]

    def __iter__(self) -> Iterator[Endpoint]:
        """Every endpoint, the closed ones too."""
        return iter(self._table.values())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on to its endpoint."""
        route = self.route(scope["path"])
        if route is None:
            raise Refused(Problem.NOT_FOUND)
        endpoint = self._table[route]
        if endpoint.setting is not None and endpoint.setting not in self._opened():
            raise Refused(Problem.ENDPOINT_CLOSED, f"The endpoint {endpoint.setting} is closed.")
        if not self._takes(endpoint, scope["method"]):
            allow = {"allow": ", ".join(endpoint.methods)}
            raise Refused(Problem.METHOD_NOT_ALLOWED, headers=allow)
        await endpoint.app(scope, receive, send)

    @staticmethod
    def _takes(endpoint: Endpoint, method: str) -> bool:
        return not endpoint.methods or endpoint.by_itself or method in endpoint.methods
