import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import orjson
import pytest
from kubernetes.aio.client import Configuration

from breakwater_operator.kube import api as api_module
from breakwater_operator.kube.api import KubeApi
from breakwater_operator.kube.asking import Asking
from breakwater_operator.kube.errors import ApiError
from breakwater_operator.kube.kinds import POD, SECRET, Kind
from breakwater_operator.kube.stream import Stream
from breakwater_operator.kube.wire import Wire

Object = dict[str, object]
Answered = TypeVar("Answered")


def event(version: int, kind: str = "MODIFIED", **first: str) -> bytes:
    """An event as the API server writes it, the order of its fields and all."""
    metadata = first | {
        "name": "a",
        "namespace": "ns",
        "uid": "u1",
        "resourceVersion": f"{version}",
    }
    live = {"kind": "Secret", "apiVersion": "v1", "metadata": metadata}
    return orjson.dumps({"type": kind, "object": live}) + b"\n"


def custom(version: int, kind: str = "MODIFIED", **more: object) -> bytes:
    """An event of a custom resource: the API server sorts the fields of those."""
    metadata = {"name": "a", "namespace": "ns", "uid": "u1", "resourceVersion": f"{version}"}
    live = {"apiVersion": "x/v1", "kind": "X", "metadata": metadata | more, "spec": {}}
    sorted_live = orjson.dumps(live, option=orjson.OPT_SORT_KEYS)
    return b'{"type":"%s","object":%s}\n' % (kind.encode(), sorted_live)


async def watched(
    lines: Sequence[bytes],
    kind: Kind = SECRET,
    *,
    metadata_only: bool = False,
    is_silent: bool = False,
) -> tuple[list[Object], list[tuple[str, int]]]:
    """Watch what a server tells, which then ends or is silent; states below 10 are known."""
    asked: list[tuple[str, int]] = []
    ended = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        body = b"".join(lines)
        length = len(body) + is_silent
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (length, body))
        if is_silent:
            await reader.read()
        writer.close()
        ended.set()

    def is_known(uid: str, version: int) -> bool:
        asked.append((uid, version))
        return version < 10

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    configuration = Configuration()
    configuration.host = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    api = KubeApi(configuration, lambda *_: None)
    events = api.watch(
        kind, None, since="1", seconds=5, is_known=is_known, metadata_only=metadata_only
    )
    try:
        return [one async for one in events], asked
    finally:
        await api.close()
        await asyncio.wait_for(ended.wait(), 5)
        server.close()


async def test_the_event_of_a_state_that_is_known_only_says_how_far_the_watch_is() -> None:
    found, asked = await watched([event(7), event(12)])

    assert [one["type"] for one in found] == ["BOOKMARK", "MODIFIED"]
    assert found[0]["object"] == {"metadata": {"resourceVersion": "7"}}
    assert asked == [("u1", 7), ("u1", 12)]


async def test_so_does_that_of_a_custom_resource() -> None:
    names = {"resourceVersion": "1", "uid": "other"}
    found, asked = await watched([custom(7), custom(8, annotations=names), custom(12)])

    assert [one["type"] for one in found] == ["BOOKMARK", "BOOKMARK", "MODIFIED"]
    assert found[1]["object"] == {"metadata": {"resourceVersion": "8"}}
    assert asked == [("u1", 7), ("u1", 8), ("u1", 12)]


async def test_an_event_is_looked_at_after_the_answers_that_came_with_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stream, known = Stream(Wire(lambda _: None)), set[int]()

    async def opened(*_: object) -> Stream:
        return stream

    async def written(answer: asyncio.Future[int]) -> None:
        known.add(await answer)

    monkeypatch.setattr(Asking, "open", opened)
    api = KubeApi(Configuration(), lambda *_: None)
    events = api.watch(
        SECRET, None, since="1", seconds=5, is_known=lambda _, version: version in known
    )
    told = asyncio.ensure_future(anext(events))
    answer = asyncio.get_running_loop().create_future()
    write = asyncio.create_task(written(answer))
    await asyncio.sleep(0)
    stream.feed(event(12))
    answer.set_result(12)

    assert (await told)["type"] == "BOOKMARK"
    await write
    stream.end(None)
    await events.aclose()


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(event(7, "DELETED"), id="deletion"),
        pytest.param(event(7, generateName="a"), id="fields-in-another-order"),
        pytest.param(custom(7, "DELETED"), id="deletion-of-a-custom-resource"),
        pytest.param(custom(7, zone="a"), id="unknown-fields-of-a-custom-resource"),
    ],
)
async def test_any_other_event_is_read_as_a_whole(line: bytes) -> None:
    found, asked = await watched([line])

    assert found == [orjson.loads(line)]
    assert asked == []


async def test_of_metadata_no_more_is_read_than_whose_state_it_is() -> None:
    longer = event(12)[:-4] + b',"labels":{"a":"b"}}}}\n'

    found, _ = await watched([event(7), longer, event(13, "DELETED")], metadata_only=True)

    names = {"namespace": "ns", "name": "a", "uid": "u1"}
    assert [one["type"] for one in found] == ["BOOKMARK", "MODIFIED", "DELETED"]
    assert found[1]["object"] == {"metadata": {**names, "resourceVersion": "12"}}
    assert found[2] == orjson.loads(event(13, "DELETED"))


@pytest.mark.parametrize("written", ["", '},"status":{', '"},"status":{"', '},"spec":{'])
@pytest.mark.parametrize("kind", [POD, SECRET])
async def test_a_pod_is_read_without_its_spec_and_all_else_with_it(
    kind: Kind, written: str
) -> None:
    metadata = {"name": "a", "annotations": {written: written}, "resourceVersion": "12"}
    spec = {"containers": [{"env": [{"name": "A", "value": written}], "resources": {}}]}
    live = {"kind": "X", "metadata": metadata, "spec": spec, "status": {"reason": written}}
    line = orjson.dumps({"type": "ADDED", "object": live}) + b"\n"

    found, _ = await watched([line], kind)

    said = {key: value for key, value in live.items() if key != "spec" or kind != POD}
    assert found == [{"type": "ADDED", "object": said}]


FIELDS = [{"manager": "a", "fieldsV1": {"f:spec": {}}}, {"manager": "b", "fieldsV1": {"f:x": {}}}]


@pytest.mark.parametrize("manager", ["a", "}]}", "}]},", "}]}}}"])
@pytest.mark.parametrize("rest", [{"spec": {"a": "}]}"}}, {}])
async def test_by_whom_fields_were_written_is_not_read_and_all_else_is(
    manager: str, rest: Object
) -> None:
    metadata = {"name": "a", "uid": "u1", "resourceVersion": "12"}
    managed = metadata | {"managedFields": [*FIELDS, {"manager": manager, "fieldsV1": {"f:y": {}}}]}
    said = {"kind": "X", "apiVersion": "v1"}
    line = orjson.dumps({"type": "ADDED", "object": said | {"metadata": managed, **rest}}) + b"\n"

    found, _ = await watched([line])

    live = found[0]["object"]
    assert isinstance(live, dict)
    assert {**live, "metadata": {key: live["metadata"][key] for key in metadata}} == {
        **said,
        "metadata": metadata,
        **rest,
    }
    assert ("managedFields" in live["metadata"]) == (manager != "a")


async def test_a_custom_resource_is_read_as_a_whole() -> None:
    line = custom(12, managedFields=[*FIELDS]).replace(b'"spec":{}', b'"spec":{"a":[{"b":1}]}')

    found, _ = await watched([line])

    assert found == [orjson.loads(line)]


async def said(answer: bytes, ask: Callable[[KubeApi], Awaitable[Answered]]) -> Answered:
    """Ask a server that always says the same."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(answer), answer))
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    configuration = Configuration()
    configuration.host = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    api = KubeApi(configuration, lambda *_: None)
    try:
        return await ask(api)
    finally:
        await api.close()
        server.close()


def secret(name: str, data: str = "", manager: str = "a") -> Object:
    """A Secret as the API server writes it."""
    written = [*FIELDS, {"manager": manager, "fieldsV1": {"f:y": {}}}]
    metadata = {"name": name, "namespace": "ns", "managedFields": written}
    return {"metadata": metadata, "data": {"a": data}}


@pytest.mark.parametrize("data", ["", "}]}", ',"managedFields":[{}]}'])
@pytest.mark.parametrize("manager", ["a", "}]}", "}]},"])
async def test_a_list_tells_everything_but_by_whom_fields_were_written(
    data: str, manager: str
) -> None:
    items = [secret("one", data), secret("two", data, manager), secret("three", data)]
    body = {"kind": "SecretList", "apiVersion": "v1", "metadata": {"resourceVersion": "9"}}

    found, at = await said(orjson.dumps(body | {"items": items}), lambda api: api.list(SECRET))

    assert at == "9"
    assert [one["metadata"]["name"] for one in found] == ["one", "two", "three"]
    assert [one["data"]["a"] for one in found] == [data] * 3
    assert ["managedFields" in one["metadata"] for one in found] == [manager != "a"] * 3


async def test_who_reads_one_object_sees_by_whom_it_was_written() -> None:
    body = orjson.dumps({"kind": "Secret", "apiVersion": "v1"} | secret("one"))

    found = await said(body, lambda api: api.get(SECRET, "ns", "one"))

    assert len(found["metadata"]["managedFields"]) == 3


async def test_a_watch_in_which_nothing_is_told_any_more_ends_like_any_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(api_module, "STALLED_SECONDS", 0.05)

    found, _ = await watched([event(12)], is_silent=True)

    assert [one["type"] for one in found] == ["MODIFIED"]


async def test_an_error_in_a_watch_is_raised() -> None:
    status = {"type": "ERROR", "object": {"code": 410, "reason": "Expired", "message": "old"}}

    with pytest.raises(ApiError) as raised:
        await watched([orjson.dumps(status) + b"\n"])

    assert raised.value.expired
