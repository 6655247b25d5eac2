import asyncio
from collections.abc import Sequence

import orjson
import pytest
from kubernetes.aio.client import Configuration

from breakwater_operator.kube.api import KubeApi
from breakwater_operator.kube.errors import ApiError
from breakwater_operator.kube.kinds import SECRET

Object = dict[str, object]


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


async def watched(lines: Sequence[bytes]) -> tuple[list[Object], list[tuple[str, int]]]:
    """Watch what a server tells; states below 10 are known."""
    asked: list[tuple[str, int]] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        body = b"".join(lines)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
        writer.close()

    def is_known(uid: str, version: int) -> bool:
        asked.append((uid, version))
        return version < 10

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    configuration = Configuration()
    configuration.host = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    api = KubeApi(configuration, lambda *_: None)
    events = api.watch(SECRET, None, since="1", seconds=5, is_known=is_known)
    try:
        return [one async for one in events], asked
    finally:
        await api.close()
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


async def test_an_error_in_a_watch_is_raised() -> None:
    status = {"type": "ERROR", "object": {"code": 410, "reason": "Expired", "message": "old"}}

    with pytest.raises(ApiError) as raised:
        await watched([orjson.dumps(status) + b"\n"])

    assert raised.value.expired
