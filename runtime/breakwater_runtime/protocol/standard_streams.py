"""Standard input and output as the way to the client that started the process.

They are read and written by threads: what stands behind them may be a pipe, a socket, a file or a
terminal, and not all of these can be waited for by an event loop.
"""

import asyncio
import os
import select
import threading
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass

CHUNK_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class StandardStreams:
    """Two file descriptors, which nobody else in the process has."""

    reading: int
    writing: int

    @classmethod
    def taken(cls) -> "StandardStreams":
        """Take standard input and output away from everybody else.

        What a tool prints would stand among the messages: from now on it goes to standard error.
        And what a tool or a child of its reads would be missing among them: it finds nothing.
        """
        reading, writing = os.dup(0), os.dup(1)
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.close(nothing)
        os.dup2(2, 1)
        return cls(reading, writing)

    def read_by(self, take: Callable[[bytes], Awaitable[None]]) -> None:
        """Have `take` awaited with all that comes, part by part; at the end with nothing.

        While it has not returned nothing more is read: the client has to wait.
        """
        loop = asyncio.get_running_loop()

        async def taking(part: bytes) -> None:
            await take(part)

        def read() -> None:
            part = b"-"
            while part:
                part = _read(self.reading)
                asyncio.run_coroutine_threadsafe(taking(part), loop).result()

        threading.Thread(target=read, name="standard-input", daemon=True).start()

    async def write(self, content: bytes) -> None:
        """Write it all.

        Raises:
            OSError: Nobody reads it any more.
        """
        await asyncio.to_thread(_write, self.writing, content)


def _read(descriptor: int) -> bytes:
    while True:
        try:
            return os.read(descriptor, CHUNK_BYTES)
        except BlockingIOError:
            select.select([descriptor], [], [])
        except OSError:  # a terminal that was closed
            return b""


def _write(descriptor: int, content: bytes) -> None:
    left = memoryview(content)
    while left:
        try:
            left = left[os.write(descriptor, left) :]
        except BlockingIOError:
            select.select([], [descriptor], [])


class Lines:
    """Cuts what comes into lines."""

    def __init__(self, bytes_max: Callable[[], int]) -> None:
        """Keep no more of a line than `bytes_max` says at the moment."""
        self._bytes_max = bytes_max
        self._parts: list[bytes] = []
        self._size = 0

    def feed(self, part: bytes) -> Iterator[bytes | None]:
        """Yield the lines that this completes; None: one that is too long, and was not kept."""
        *ends, rest = part.split(b"\n")
        for end in ends:
            self._keep(end)
            yield self._line()
        self._keep(rest)

    def _keep(self, part: bytes) -> None:
        self._size += len(part)
        if self._size <= self._bytes_max():
            self._parts.append(part)
        else:
            self._parts.clear()

    def _line(self) -> bytes | None:
        line = b"".join(self._parts) if self._size <= self._bytes_max() else None
        self._parts.clear()
        self._size = 0
        return line
