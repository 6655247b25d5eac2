"""What must be listed before passes are made, and which namespaces are not yet."""

import asyncio
from collections.abc import Callable, Sequence

from breakwater_operator.kube.informer import Informer


class Barrier:
    """Keeps passes from a namespace until everything in it is listed.

    One that the operator may not read must not keep it from all others: whoever deletes a namespace
    that it was told to watch takes the Role in it along.
    """

    def __init__(self, informers: Sequence[Informer]) -> None:
        """Know of nothing that is listed yet.

        Args:
            informers: What has to be listed.
        """
        self._of: dict[str | None, list[Informer]] = {}
        for one in informers:
            self._of.setdefault(one.namespace, []).append(one)
        self._closed = set(self._of)

    async def wait(self) -> None:
        """Wait until everything is listed, but for namespaces that may not be read."""
        waits = [one.asked.wait() for informers in self._of.values() for one in informers]
        await asyncio.gather(*waits)
        self._closed = {namespace for namespace in self._of if not self._is_full(namespace)}

    async def follow(self, opened: Callable[[], None]) -> None:
        """Wait for the namespaces that could not be read.

        Args:
            opened: Told of each that is listed after all.
        """
        await asyncio.gather(*(self._open(one, opened) for one in tuple(self._closed)))

    def is_open(self, namespace: str) -> bool:
        """Whether passes may be made over the servers of a namespace."""
        return not self._closed or self._closed.isdisjoint({namespace, None})

    def unlisted(self) -> list[Informer]:
        """What keeps the operator from its work: where it has some, not what it may not read."""
        missing = {one: found for one in self._of if (found := self._missing(one))}
        if len(missing) == len(self._of):
            return [one for found in missing.values() for one in found]
        # One that was asked for and is not there was refused.
        waits = [
            found for found in missing.values() if not any(one.asked.is_set() for one in found)
        ]
        return [one for found in waits for one in found]

    def unheard(self, seconds: float) -> list[Informer]:
        """What the API server has said nothing of for so long, in whatever namespace.

        One namespace alone may have come to be forbidden, as by its deletion.
        """
        alike: dict[tuple[str, str, bool], list[Informer]] = {}
        for one in (one for informers in self._of.values() for one in informers):
            if one.full.is_set():
                what = (one.kind.name, one.selector, one.metadata_only)
                alike.setdefault(what, []).append(one)
        newest = (min(each, key=lambda one: one.silent_seconds) for each in alike.values())
        return [one for one in newest if one.silent_seconds > seconds]

    async def _open(self, namespace: str | None, opened: Callable[[], None]) -> None:
        await asyncio.gather(*(one.full.wait() for one in self._of[namespace]))
        self._closed.discard(namespace)
        opened()

    def _missing(self, namespace: str | None) -> list[Informer]:
        return [one for one in self._of[namespace] if not one.full.is_set()]

    def _is_full(self, namespace: str | None) -> bool:
        return not self._missing(namespace)
