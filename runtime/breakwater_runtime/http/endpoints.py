"""Which path leads where."""

from collections.abc import Mapping

from starlette.types import ASGIApp, Receive, Scope, Send

from breakwater_runtime.calls import Problem, Refused


class Endpoints:
    """Hands a request to the endpoint at its path; paths are compared byte by byte."""

    def __init__(self, endpoints: Mapping[str, ASGIApp]) -> None:
        """Serve these paths and no others."""
        self._endpoints = dict(endpoints)

    @property
    def paths(self) -> frozenset[str]:
        """Every path that is served."""
        return frozenset(self._endpoints)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on to its endpoint."""
        endpoint = self._endpoints.get(scope["path"])
        if endpoint is None:
            raise Refused(Problem.NOT_FOUND)
        await endpoint(scope, receive, send)
