"""A conversation over a wire that is held up by the test."""

import asyncio

import orjson
import pytest

from breakwater_runtime.backends.codec.conversation import Conversation
from breakwater_runtime.backends.codec.instance import Sinks
from tests.unit.runtime.containers import Notes, eventually, tool


class HeldWire:
    """A wire that keeps what is written, and takes nothing while it is held."""

    def __init__(self) -> None:
        self.busy: asyncio.Future[None] | None = asyncio.get_running_loop().create_future()
        self.written: list[bytes] = []

    def release(self) -> None:
        assert self.busy is not None
        self.busy.set_result(None)
        self.busy = None

    def write(self, line: bytes) -> None:
        self.written.append(line)

    def end(self, reason: str) -> None:
        raise AssertionError(reason)

    def close(self) -> None:
        pass


async def _refused(*_: object) -> dict[str, object]:
    raise AssertionError


@pytest.mark.requirement("A5")
@pytest.mark.parametrize(
    "said",
    [
        {"id": 1, "result": {"content": [{"type": "text", "text": "made up"}]}},
        {"id": 1, "error": {"code": -32000, "message": "made up"}},
        {"method": "notifications/progress", "params": {"progressToken": 1, "progress": 1}},
    ],
    ids=["result", "error", "progress"],
)
async def test_a_server_cannot_answer_what_it_was_not_asked_yet(said: dict[str, object]) -> None:
    wire, notes = HeldWire(), Notes()
    sinks = Sinks(lambda *_: None, _refused)
    conversation = Conversation("main", wire, sinks, timeout_seconds=60)
    call = tool("echo", text="x")
    call.channel = notes
    call.params = {**(call.params or {}), "_meta": {"progressToken": "mine"}}
    asking = asyncio.ensure_future(conversation.request(call.method, call.params, call))
    await asyncio.sleep(0)

    conversation.hear(orjson.dumps({"jsonrpc": "2.0", **said}))
    await asyncio.sleep(0)
    assert (asking.done(), wire.written, notes.heard) == (False, [], [])

    wire.release()
    await eventually(lambda: wire.written)
    conversation.hear(b'{"jsonrpc":"2.0","id":1,"result":{"content":[]}}')
    async with asyncio.timeout(60):
        assert (await asking).content == {"content": []}
