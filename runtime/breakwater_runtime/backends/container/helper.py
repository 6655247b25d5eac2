"""The runtime's side of `breakwater-child`, the parent of commands in another container."""

import array
import asyncio
import contextlib
import logging
import os
import socket
import stat
import struct
from dataclasses import dataclass, field

logger = logging.getLogger(__name__)

PACKET_BYTES_MAX = 8192
RETRY_SECONDS = 0.1
RETRY_SECONDS_MAX = 2.0
STOP_MILLISECONDS = 2000
"""How long a child may live on after its input ended, and after SIGTERM, each."""
_PEER = struct.Struct("3i")


class HelperError(Exception):
    """No child can be started; the message says why."""


@dataclass(frozen=True, slots=True)
class Ending:
    """How a child ended."""

    how: str
    line: str = ""
    """The last line of its log: for those who run it, not for callers."""

    def __str__(self) -> str:
        return f"{self.how} and said: {self.line}" if self.line else self.how


@dataclass(eq=False)
class Child:
    """A command that was started."""

    id: str
    helper: "Helper"
    pid: int = 0
    stdin: int = -1
    stdout: int = -1
    exited: asyncio.Future[Ending] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )
    """How it ended, once it has; then nothing that it started is left either."""

    def stop(self) -> None:
        """Have it ended: its input should be closed already, then SIGTERM, then SIGKILL."""
        self.helper.tell(f"stop {self.id} {STOP_MILLISECONDS}")

    def kill(self) -> None:
        """Have it ended at once, with all that it started."""
        self.helper.tell(f"kill {self.id}")


class Helper:
    """One connection to the helper, made again when it is lost."""

    def __init__(self, path: str, user: int | None) -> None:
        """Speak to the helper behind a socket, if it runs as `user`."""
        self._path = path
        self._user = user
        self._socket: socket.socket | None = None
        self._number = 0
        self._starting: dict[str, asyncio.Future[Child]] = {}
        self._children: dict[str, Child] = {}
        self._connected = asyncio.Event()
        self.fault: str | None = "it has not been asked yet"

    async def run(self) -> None:
        """Stay connected, for ever."""
        wait = RETRY_SECONDS
        try:
            while True:
                lost = self._connect()
                if lost is not None:
                    wait = RETRY_SECONDS
                    await lost
                await asyncio.sleep(wait)
                wait = min(wait * 2, RETRY_SECONDS_MAX)
        finally:
            self._disconnect("the runtime stops")

    def _connect(self) -> asyncio.Future[None] | None:
        loop = asyncio.get_running_loop()
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        connection.setblocking(False)
        try:
            connection.connect(self._path)
            _, user, _ = _PEER.unpack(
                connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size)
            )
        except OSError as error:
            connection.close()
            self.fault = f"nobody listens at {self._path} ({error.strerror})"
            return None
        if self._user is not None and user != self._user:
            connection.close()
            self.fault = f"user {user} listens at {self._path}, and not {self._user}"
            return None
        lost: asyncio.Future[None] = loop.create_future()
        self._socket, self.fault = connection, None
        loop.add_reader(connection, self._readable, connection, lost)
        self._connected.set()
        return lost

    def _readable(self, connection: socket.socket, lost: asyncio.Future[None]) -> None:
        space = socket.CMSG_SPACE(2 * array.array("i").itemsize)
        try:
            packet, rights, _, _ = connection.recvmsg(
                PACKET_BYTES_MAX, space, socket.MSG_CMSG_CLOEXEC
            )
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            packet, rights = b"", []
        pipes = _descriptors(rights)
        if packet:
            self._hear(packet.decode(errors="replace"), pipes)
            return
        self._disconnect("the container's helper is gone")
        lost.set_result(None)

    def _disconnect(self, reason: str) -> None:
        if self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket)
            self._socket.close()
            self._socket = None
        self._connected.clear()
        self.fault = reason
        for starting in self._starting.values():
            if not starting.done():
                starting.set_exception(HelperError(reason))
        self._starting.clear()
        for child in tuple(self._children.values()):
            self._exited(child.id, Ending(reason))

    def _hear(self, packet: str, pipes: list[int]) -> None:
        verb, _, rest = packet.partition(" ")
        name, _, said = rest.partition(" ")
        starting = self._starting.pop(name, None)
        if verb == "started" and starting is not None:
            self._started(name, said, pipes, starting)
            return
        for pipe in pipes:
            os.close(pipe)
        if verb == "exited":
            ending = _ending(said)
            self._exited(name, ending)
            said = f"{ending} before it was started"
        # One whose keeper is killed exits without having been started.
        if verb in {"failed", "exited"} and starting is not None and not starting.done():
            starting.set_exception(HelperError(said))

    def _started(
        self, name: str, pid: str, pipes: list[int], starting: asyncio.Future[Child]
    ) -> None:
        child = self._children[name] = Child(name, self, int(pid))
        if len(pipes) == 2:
            child.stdin, child.stdout = pipes
        if starting.done():  # nobody waits for it any more
            for pipe in pipes:
                os.close(pipe)
            child.stop()
            return
        starting.set_result(child)

    def _exited(self, name: str, ending: Ending) -> None:
        child = self._children.pop(name, None)
        if child is not None and not child.exited.done():
            child.exited.set_result(ending)

    async def start(self, *, pipes: bool = True) -> Child:
        """Have the command started once more.

        Raises:
            HelperError: It could not be.
        """
        if self._socket is None:
            raise HelperError(self.fault or "there is no helper")
        self._number += 1
        name = str(self._number)
        starting: asyncio.Future[Child] = asyncio.get_running_loop().create_future()
        self._starting[name] = starting
        self.tell(f"start {name} {'pipes' if pipes else 'log'}")
        return await starting

    async def connected(self) -> None:
        """Wait until there is a helper."""
        await self._connected.wait()

    def tell(self, packet: str) -> None:
        """Say something to the helper; with none there, there are no children either."""
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.send(packet.encode())


def _descriptors(rights: list[tuple[int, int, bytes]]) -> list[int]:
    """Take the pipes out of a message; whatever else somebody sends is closed again."""
    found = array.array("i")
    for level, kind, data in rights:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            found.frombytes(data[: len(data) - len(data) % found.itemsize])
    if all(stat.S_ISFIFO(os.fstat(each).st_mode) for each in found):
        return list(found)
    for each in found:
        os.close(each)
    return []


def _ending(said: str) -> Ending:
    """Say how a child ended, from `code 1 last line` or `signal 9 last line`."""
    kind, _, rest = said.partition(" ")
    number, _, line = rest.partition(" ")
    how = f"exit code {number}" if kind == "code" else f"signal {number}"
    return Ending(f"it ended with {how}", line.strip()[:200])
