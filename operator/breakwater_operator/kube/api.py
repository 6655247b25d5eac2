"""A thin client of the API server: plain dictionaries in and out, every request counted."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from functools import cache
from urllib.parse import urlencode

import orjson
from kubernetes.aio.client import Configuration

from breakwater_operator.kube import answers
from breakwater_operator.kube.answers import Object
from breakwater_operator.kube.asking import Asking, Count, Headers
from breakwater_operator.kube.errors import ApiError
from breakwater_operator.kube.kinds import Kind

Chunk = tuple[list[Object], str]
"""Some of the objects of a list, and the list's resourceVersion."""

STALLED_SECONDS = 75.0
"""A watch that says nothing for so long may be dead: bookmarks come every minute, as a rule."""

LIST_CHUNK = 200
"""Objects in one answer of a list: as dictionaries, those of a cluster take ten times the memory of
what is kept of them."""

NAMES_CHUNK = 1000
"""The same where only metadata are asked for."""

NO_OBJECT_HAS_THIS_VERSION = "1"
"""A resourceVersion below every object's.

A server-side apply that carries it makes the object when there is none and is refused with 409
when there is one: the only way to create with the same field ownership as a later apply without
ever taking over what somebody else made.
"""

NON_RESOURCE = Kind("", "NonResource", "")
"""Stands in metrics and messages for paths that are no objects."""

JSON = "application/json"
APPLY = "application/apply-patch+yaml"
JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
_DISCOVERY = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
_METADATA = "application/json;as=PartialObjectMetadata{};g=meta.k8s.io;v=v1"


class KubeApi:
    """The verbs we use. Every failure is a `ApiError` with the server's own message."""

    def __init__(self, configuration: Configuration, count: Count) -> None:
        """Open no connection yet.

        Args:
            configuration: Address and credentials; a changed token is picked up.
            count: Told of each answer.
        """
        self._asking = Asking(configuration, count)

    def ask_before_writes(self, may_write: Callable[[], bool]) -> None:
        """Have this say, right before each write but that of a Lease, whether it may be sent."""
        self._asking.may_write = may_write

    async def gather(self) -> None:
        """Let answers gather while many writes are under way, until cancelled; see `Gathering`."""
        await self._asking.gathering.run()

    async def close(self) -> None:
        """Close all connections."""
        await self._asking.close()

    async def document(self, path: str) -> Object:
        """Read what the API server says of itself, as at `/openid/v1/jwks`."""
        return await self._asking.ask("get", "GET", NON_RESOURCE, path)

    async def discover(self, etag: str) -> tuple[list[Object], str] | None:
        """Read which groups, versions and kinds there are.

        Args:
            etag: Of the last answer; empty where there was none.

        Returns:
            The groups and their etag; None where nothing has changed since that answer.
        """
        known = (("If-None-Match", etag),) if etag else ()
        headers = (("Accept", _DISCOVERY), *known)
        answer = await self._asking.answer("get", "GET", NON_RESOURCE, "/apis", None, headers)
        if answer.status == 304:
            return None
        try:
            said = orjson.loads(answer.body)
        except ValueError as error:
            raise ApiError(f"discovery: {error!r}") from error
        return said.get("items") or [], answer.headers.get("etag", "")

    async def get(
        self, kind: Kind, namespace: str, name: str, *, metadata_only: bool = False
    ) -> Object:
        """Read one object."""
        accept = _METADATA.format("") if metadata_only else "application/json"
        return await self._asking.ask(
            "get", "GET", kind, kind.path(namespace, name), headers=(("Accept", accept),)
        )

    async def list(
        self,
        kind: Kind,
        namespace: str | None = None,
        *,
        selector: str = "",
        metadata_only: bool = False,
    ) -> tuple[list[Object], str]:
        """Read all objects of a kind.

        Returns:
            The objects, and the resourceVersion to watch from.
        """
        found: list[Object] = []
        since = ""
        chunks = self.chunks(kind, namespace, selector=selector, metadata_only=metadata_only)
        async for some, at in chunks:
            found += some
            since = at
        return found, since

    async def chunks(
        self,
        kind: Kind,
        namespace: str | None = None,
        *,
        selector: str = "",
        name: str = "",
        metadata_only: bool = False,
    ) -> AsyncGenerator[Chunk, None]:
        """Read all objects of a kind, some at a time; with a name, that one if it is there.

        Yields:
            Objects, and the resourceVersion of the list, which is the same for all of them.
        """
        accept = _METADATA.format("List") if metadata_only else "application/json"
        limit = NAMES_CHUNK if metadata_only else LIST_CHUNK
        query = {"limit": str(limit)} | _selected(selector, name)
        while True:
            path = f"{kind.path(namespace)}?{urlencode(query)}"
            answer = await self._asking.ask(
                "list", "GET", kind, path, headers=(("Accept", accept),)
            )
            # The items of a list leave out what the list itself says.
            said = {"apiVersion": kind.api_version, "kind": kind.name}
            yield (
                [said | item for item in answer.pop("items", None) or ()],
                answer["metadata"]["resourceVersion"],
            )
            query["continue"] = answer["metadata"].get("continue", "")
            if not query["continue"]:
                return

    async def apply(self, kind: Kind, manifest: Object, *, manager: str, part: str = "") -> Object:
        """Apply a manifest on the server, taking over the fields that it names.

        A uid or resourceVersion in its metadata is a precondition: another object under the name,
        or another state of it, is answered 409.
        """
        path = kind.path(manifest["metadata"]["namespace"], manifest["metadata"]["name"], part)
        query = _query(fieldManager=manager, force="true")
        return await self._asking.ask(
            "patch", "PATCH", kind, f"{path}?{query}", body=manifest, headers=_sends(APPLY)
        )

    async def create_applied(self, kind: Kind, manifest: Object, *, manager: str) -> Object:
        """Apply a manifest of an object that must not exist yet; else the answer is 409."""
        metadata = manifest["metadata"] | {"resourceVersion": NO_OBJECT_HAS_THIS_VERSION}
        return await self.apply(kind, manifest | {"metadata": metadata}, manager=manager)

    async def json_patch(
        self, kind: Kind, namespace: str, name: str, steps: Sequence[Object], *, manager: str
    ) -> Object:
        """Change one object step by step (RFC 6902)."""
        path = f"{kind.path(namespace, name)}?{_query(fieldManager=manager)}"
        return await self._asking.ask(
            "patch", "PATCH", kind, path, body=list(steps), headers=_sends(JSON_PATCH)
        )

    async def merge_patch(
        self, kind: Kind, namespace: str, name: str, change: Object, *, manager: str
    ) -> Object:
        """Merge a change into one object (RFC 7386)."""
        path = f"{kind.path(namespace, name)}?{_query(fieldManager=manager)}"
        return await self._asking.ask(
            "patch", "PATCH", kind, path, body=change, headers=_sends(MERGE_PATCH)
        )

    async def create(self, kind: Kind, manifest: Object, *, manager: str) -> Object:
        """Create an object; one that exists already is answered 409."""
        path = f"{kind.path(manifest['metadata']['namespace'])}?{_query(fieldManager=manager)}"
        return await self._asking.ask(
            "create", "POST", kind, path, body=manifest, headers=_sends(JSON)
        )

    async def replace(self, kind: Kind, live: Object, *, manager: str) -> Object:
        """Write an object as a whole; 409 where it is no longer at its resourceVersion."""
        metadata = live["metadata"]
        query = _query(fieldManager=manager)
        path = f"{kind.path(metadata['namespace'], metadata['name'])}?{query}"
        return await self._asking.ask("update", "PUT", kind, path, body=live, headers=_sends(JSON))

    async def delete(self, kind: Kind, live: Object) -> Object:
        """Delete exactly this state of this object, and what it owns in the background."""
        metadata = live["metadata"]
        body = {
            "propagationPolicy": "Background",
            "preconditions": {
                "uid": metadata["uid"],
                "resourceVersion": metadata["resourceVersion"],
            },
        }
        path = kind.path(metadata["namespace"], metadata["name"])
        return await self._asking.ask(
            "delete", "DELETE", kind, path, body=body, headers=_sends(JSON)
        )

    async def watch(
        self,
        kind: Kind,
        namespace: str | None,
        *,
        since: str,
        seconds: int,
        selector: str = "",
        name: str = "",
        metadata_only: bool = False,
        is_known: Callable[[str, int], bool] = lambda _uid, _version: False,
        opened: Callable[[], None] = lambda: None,
    ) -> AsyncGenerator[Object, None]:
        """Follow all changes of a kind after a resourceVersion, until it ends.

        The server ends it, or nothing is told for 75 seconds: where etcd rarely tells of progress
        that is a quiet kind, else a lost connection. Who opens it anew misses nothing either way.

        Args:
            kind: The kind.
            namespace: Where; None means everywhere.
            since: The resourceVersion.
            seconds: How long the server is asked to go on.
            selector: Only objects with these labels.
            name: Only the object of this name.
            metadata_only: Ask for no more than the metadata, and read no more of it than what
                tells one state of an object from another.
            is_known: Whether a state, by uid and version, is known already: then a bookmark stands
                for its event, which is not read.
            opened: Told that the server has agreed to it.

        Yields:
            Watch events, bookmarks among them; an event of type ERROR is raised instead.
        """
        query = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": since,
            "timeoutSeconds": str(seconds),
        } | _selected(selector, name)
        accept = _METADATA.format("") if metadata_only else "application/json"
        path = f"{kind.path(namespace)}?{urlencode(query)}"
        stream = await self._asking.open("watch", kind, path, (("Accept", accept),))
        opened()
        try:
            while lines := await stream.lines(STALLED_SECONDS):
                # The answers that came with these events make most of those known.
                await asyncio.sleep(0)
                for line in lines:
                    told = answers.known(line, is_known)
                    told = told or (answers.identity(line) if metadata_only else None)
                    yield told or answers.event(kind, line)
        except TimeoutError:
            return
        except (OSError, ValueError) as error:
            raise ApiError(f"watch {kind.name}: {error!r}") from error
        finally:
            stream.close()


def _selected(selector: str, name: str) -> dict[str, str]:
    """Choose by labels, and by name: who has rights to one object may list and watch it so."""
    chosen = {"labelSelector": selector, "fieldSelector": f"metadata.name={name}" if name else ""}
    return {key: value for key, value in chosen.items() if value}


@cache
def _query(**said: str) -> str:
    """Write a query of few values, which are always the same."""
    return urlencode(said)


def _sends(content_type: str) -> Headers:
    return ("Content-Type", content_type), ("Accept", JSON)
