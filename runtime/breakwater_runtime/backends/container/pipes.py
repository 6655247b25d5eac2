"""A child's standard streams as the wire of a conversation."""

import asyncio
import os

from breakwater_runtime.backends.codec.conversation import Conversation
from breakwater_runtime.backends.codec.instance import Sinks
from breakwater_runtime.backends.codec.lines import Lines, LineTooLongError
from breakwater_runtime.backends.container.helper import Child, Ending, Helper
from breakwater_runtime.backends.container.turns import Turns

STALL_SECONDS = 30.0
"""How long a child may leave its input unread while somebody waits to write."""

LARGE_BYTES = 1024 * 1024
"""From here on a message is read in turn: the children of a backend are many, and their messages
may each be long."""

TURN_SECONDS = 30.0
"""How long a child may take to end a large message, once it is its turn."""

EXIT_SECONDS = 0.25
"""How long after the end of a child's output its helper's word on how it ended is waited for."""

MESSAGES_PER_SECOND = 2000
"""How many lines a child may write that answer nothing; beyond that it is read more slowly."""

PAUSE_SECONDS = 0.1

TOGETHER_BYTES_MAX = 64 * 1024
"""How much waits to be written at once; with more, the child's input is looked at first."""


class Pipes(asyncio.Protocol):
    """Reads a child's output, writes its input, and knows how it ended."""

    def __init__(self, child: Child, message_bytes: int, turns: Turns) -> None:
        """Talk to a child whose pipes were handed over; messages have a bound.

        Args:
            child: The child.
            message_bytes: How long its messages may be.
            turns: Where it waits for its turn to write a large one.
        """
        self.child = child
        self.conversation: Conversation | None = None
        self.ending: Ending | None = None
        self._loop = asyncio.get_running_loop()
        self._message_bytes = message_bytes
        self._lines = Lines(message_bytes)
        self._stdin: asyncio.WriteTransport | None = None
        self._stdout: asyncio.ReadTransport | None = None
        self._unwritten: list[bytes] = []
        self._unwritten_bytes = 0
        self._free: asyncio.Future[None] | None = None
        self._stall: asyncio.TimerHandle | None = None
        self._surplus = 0
        self._turns = turns
        self._turn: asyncio.TimerHandle | None = None
        self._waits = False

    async def open(self) -> None:
        """Take over the pipes."""
        self.child.exited.add_done_callback(self._exited)
        stdout = os.fdopen(self.child.stdout, "rb", buffering=0)
        stdin = os.fdopen(self.child.stdin, "wb", buffering=0)
        try:
            self._stdout, _ = await self._loop.connect_read_pipe(lambda: self, stdout)
        except (OSError, asyncio.CancelledError):
            stdin.close()
            raise
        self._stdin, _ = await self._loop.connect_write_pipe(lambda: _Input(self), stdin)

    # The wire

    @property
    def busy(self) -> asyncio.Future[None] | None:
        """What ends once the child has read enough of its input; None: it has."""
        return self._free

    def write(self, line: bytes) -> None:
        """Write a line, together with all that is written at the same moment.

        uvloop asks the system for every single write to a pipe, and wakes the child with each.
        """
        if not self._unwritten:
            self._loop.call_soon(self._flush)
        self._unwritten += (line, b"\n")
        self._unwritten_bytes += len(line)
        if self._unwritten_bytes > TOGETHER_BYTES_MAX:
            self._flush()

    def _flush(self) -> None:
        lines, self._unwritten = self._unwritten, []
        self._unwritten_bytes = 0
        if lines and self._stdin is not None and not self._stdin.is_closing():
            self._stdin.write(b"".join(lines))

    def end(self, reason: str) -> None:
        """Kill the child with all that it started."""
        self.child.kill()
        self._end(Ending(reason))

    def close(self) -> None:
        """End the child's input; its helper does the rest."""
        self._flush()
        self._close()
        self.child.stop()

    # What the child does

    def data_received(self, data: bytes) -> None:
        """Hand over what it wrote."""
        conversation = self.conversation
        if conversation is None:
            return
        try:
            for line in self._lines.feed(data):
                if not conversation.hear(line):
                    self._count()
        except LineTooLongError:
            self.end(f"it wrote a message of more than {self._message_bytes} bytes")
            return
        if self._lines.unfinished > LARGE_BYTES:
            self._take_turn()
        elif self._turn is not None:
            self._leave_turn()

    def _take_turn(self) -> None:
        """Read a large message on only while it is this child's turn."""
        if self._turn is not None or self._stdout is None or self._stdout.is_closing():
            return
        if self._turns.take(self):
            self._begin_turn()
        else:
            self._waits = True
            self._stdout.pause_reading()

    def go_on(self) -> None:
        """Read on: it is this child's turn."""
        self._waits = False
        self._begin_turn()
        self._resume()

    def _begin_turn(self) -> None:
        self._turn = self._loop.call_later(
            TURN_SECONDS, self.end, "it does not end a message that it began"
        )

    def _leave_turn(self) -> None:
        if self._turn is not None:
            self._turn.cancel()
            self._turn = None
        self._turns.leave(self)

    def _count(self) -> None:
        """Read more slowly where a child says much that nobody asked for."""
        self._surplus += 1
        if self._surplus == 1:
            self._loop.call_later(PAUSE_SECONDS, self._read_on)
        if self._surplus == int(MESSAGES_PER_SECOND * PAUSE_SECONDS) and self._stdout is not None:
            self._stdout.pause_reading()

    def _read_on(self) -> None:
        paused = self._surplus >= int(MESSAGES_PER_SECOND * PAUSE_SECONDS)
        self._surplus = 0
        if paused and not self._waits:
            self._resume()

    def _resume(self) -> None:
        if self._stdout is not None and not self._stdout.is_closing():
            self._stdout.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """Wait a moment for how it ended."""
        self._loop.call_later(EXIT_SECONDS, self._silent)

    def _silent(self) -> None:
        if self.ending is None:
            # Nothing can come from it any more, and nothing else may wait for its input.
            self.child.kill()
            self._end(Ending("it closed its standard output"))

    def _exited(self, exited: asyncio.Future[Ending]) -> None:
        self._end(exited.result())

    def _end(self, ending: Ending) -> None:
        if self.ending is None:
            self.ending = ending
        if self.conversation is not None:
            self.conversation.end(self.ending.how)
        self._close()

    def _close(self) -> None:
        for transport in (self._stdin, self._stdout):
            if transport is not None and not transport.is_closing():
                _abort(transport)
        self._lines.forget()
        self._leave_turn()
        self.release()

    # The child's input

    def hold(self) -> None:
        """Have writers wait: the child does not read."""
        if self._free is None:
            self._free = self._loop.create_future()
            self._stall = self._loop.call_later(
                STALL_SECONDS, self.end, "it does not read its standard input"
            )

    def release(self) -> None:
        """Let writers go on."""
        if self._stall is not None:
            self._stall.cancel()
        if self._free is not None and not self._free.done():
            self._free.set_result(None)
        self._free = None


class _Input(asyncio.BaseProtocol):
    """Says when a child does not keep up."""

    def __init__(self, pipes: Pipes) -> None:
        self._pipes = pipes

    def pause_writing(self) -> None:
        self._pipes.hold()

    def resume_writing(self) -> None:
        self._pipes.release()


async def converse(
    helper: Helper,
    backend: str,
    sinks: Sinks,
    *,
    message_bytes: int,
    timeout_seconds: float,
    turns: Turns,
) -> tuple[Conversation, Pipes]:
    """Start a child and make a conversation with it, in which nothing has been said.

    Raises:
        HelperError: It could not be started.
    """
    child = await helper.start()
    pipes = Pipes(child, message_bytes, turns)
    conversation = Conversation(backend, pipes, sinks, timeout_seconds=timeout_seconds)
    pipes.conversation = conversation
    try:
        await pipes.open()
    except (OSError, asyncio.CancelledError):
        pipes.close()
        raise
    return conversation, pipes


def _abort(transport: asyncio.BaseTransport) -> None:
    if isinstance(transport, asyncio.WriteTransport):
        transport.abort()
    else:
        transport.close()
