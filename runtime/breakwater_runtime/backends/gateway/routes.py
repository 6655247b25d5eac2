"""To whom a prompt or a resource belongs: they are asked for by names that say little of it."""

from collections.abc import Sequence

from breakwater_contract.mcp import INVALID_PARAMS, METHOD_NOT_FOUND, MODERN_PROTOCOL_VERSIONS
from breakwater_runtime.backends.gateway.members import Members
from breakwater_runtime.backends.gateway.resources import Owners
from breakwater_runtime.calls import Call, Problem, Refused, RpcError

RESOURCE_NOT_FOUND = -32002
NOT_THERE = frozenset({INVALID_PARAMS, RESOURCE_NOT_FOUND, METHOD_NOT_FOUND})
"""Errors with which a backend says that something is not one of its own."""


class Routes:
    """Has the right backend answer."""

    def __init__(self, members: Members, owners: Owners) -> None:
        """Choose among `members`; `owners` knows whose resources are whose."""
        self._members = members
        self._owners = owners

    async def prompt(self, call: Call) -> bytes:
        """Answer what is about a prompt.

        Raises:
            RpcError: There is no result.
            Refused: The policies do not allow it.
        """
        return await self._named(str((call.params or {}).get("name")), call)

    async def resource(self, call: Call) -> bytes:
        """Answer what is about a resource; it raises what `prompt` raises."""
        return await self._of_uri(str((call.params or {}).get("uri")), call)

    async def completion(self, call: Call) -> bytes:
        """Complete an argument of either; it raises what `prompt` raises."""
        reference = (call.params or {}).get("ref")
        if not isinstance(reference, dict):
            raise RpcError(INVALID_PARAMS, "params.ref must be an object")
        if "uri" in reference:
            return await self._of_uri(str(reference["uri"]), call)
        return await self._named(str(reference.get("name")), call)

    async def _named(self, name: str, call: Call) -> bytes:
        """Ask whoever may have a prompt, by the prefixes: the longest that fits first."""
        prefixes = {number: self._members.prefix(number) for number in self._members.numbers}
        numbers = [number for number, prefix in prefixes.items() if name.startswith(prefix)]
        numbers.sort(key=lambda number: -len(prefixes[number]))
        missing = RpcError(INVALID_PARAMS, f"There is no prompt {name[:128]}.")
        return await self._first(numbers, call, missing)

    async def _of_uri(self, uri: str, call: Call) -> bytes:
        owner = self._owners.of(uri)
        numbers = self._members.numbers if owner is None else [owner]
        modern = call.version in MODERN_PROTOCOL_VERSIONS
        code = INVALID_PARAMS if modern else RESOURCE_NOT_FOUND
        missing = RpcError(code, f"There is no resource {uri[:512]}.", {"uri": uri[:512]})
        return await self._first(numbers, call, missing)

    async def _first(self, numbers: Sequence[int], call: Call, missing: RpcError) -> bytes:
        """Let the first backend answer that knows what is meant.

        Where none does, a refusal counts for more than a backend that is away, which may have it.
        """
        refused: Refused | None = None
        away: RpcError | None = None
        for number in numbers:
            try:
                return await self._members.answer(number, call)
            except RpcError as error:
                is_away = _is_away(error)
                if len(numbers) == 1 or not (is_away or error.code in NOT_THERE):
                    raise
                away = error if is_away else away
            except Refused as refusal:
                if len(numbers) == 1 or refusal.problem is not Problem.DENIED_BY_POLICY:
                    raise
                refused = refusal
        raise refused or away or missing


def _is_away(error: RpcError) -> bool:
    data = error.data
    return isinstance(data, dict) and data.get("code") == Problem.SERVER_UNAVAILABLE.name
