"""`breakwater dev`: runs a server from its manifest, and follows what becomes of the files."""

import asyncio
import contextlib
import hashlib
import os
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from breakwater_operator.api.errors import BreakwaterError, SpecError
from breakwater_operator.cli.announcement import announcement
from breakwater_operator.cli.findings import tell
from breakwater_operator.cli.folder import Folder
from breakwater_operator.cli.machine import Machine
from breakwater_operator.cli.process import Runtime
from breakwater_operator.cli.program import Place, Program, Secrets
from breakwater_operator.cli.sidecars import Sidecars
from breakwater_operator.cli.watched import watched

WATCH_SECONDS = 0.3
"""How often the files are looked at; editors replace them in ways that no single event tells."""

TAKE_OVER_SECONDS = 10.0

EXIT_FAILED = 1
EXIT_BAD_MANIFEST = 2

Say = Callable[[str], None]
Build = Callable[[], Program]


class Start(Enum):
    """What came of a start."""

    READY = "ready"
    ENDED = "ended"
    PENDING = "pending"
    """It was not waited for: the files changed, or we are to stop."""


@dataclass
class Development:
    """One run of the command."""

    build: Build
    files: Sequence[Path]
    folder: Folder
    place: Place
    secrets: Secrets
    environment: Mapping[str, str]
    """What the process gets besides the variables of its manifest."""
    working_folder: Path
    """Where the user's own modules are."""
    machine: Machine
    cache: Path
    """Where what was compiled is kept."""
    say: Say
    _program: Program = field(init=False)
    _runtime: Runtime = field(init=False)
    _sidecars: Sidecars = field(init=False)
    _telling: asyncio.Task[None] | None = field(init=False, default=None)
    _is_ready: bool = field(init=False, default=False)
    """Whether the process took requests since it was started."""
    _is_announced: bool = field(init=False, default=False)
    _read: tuple[bytes, bytes] = field(init=False)
    """Digests of the files, from before they were last read: no change after that is missed."""
    _is_broken: bool = field(init=False, default=False)
    """Whether the files had faults when they were last read."""
    _interrupts: int = field(init=False, default=0)
    _stop: asyncio.Event = field(init=False, default_factory=asyncio.Event)

    async def run(self) -> int:
        """Run until told to stop; return the exit code.

        Raises:
            BreakwaterError: The manifest cannot run as it is.
        """
        self._program = self.build()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._interrupted)
        self._read = self._digest()
        try:
            return await self._serve()
        finally:
            if hasattr(self, "_runtime"):
                self._runtime.kill()
            if hasattr(self, "_sidecars"):
                self._sidecars.kill()

    async def _serve(self) -> int:
        if await self._started() is Start.ENDED:
            await self._end()
            return self._runtime.process.returncode or EXIT_FAILED
        while not self._stop.is_set():
            await self._turn()
        if not self._runtime.ended:
            self.say("stopping; calls that run may finish (Ctrl-C again ends them)")
        await self._end()
        return 0

    async def _turn(self) -> None:
        """Wait until something changes, and follow it."""
        changed = asyncio.create_task(self._changed())
        waits: list[asyncio.Task[object]] = [changed]
        was_running = not self._runtime.ended
        if was_running:
            waits.append(asyncio.create_task(self._runtime.process.wait()))
            if not self._is_ready:
                waits.append(asyncio.create_task(self._runtime.ready()))
        await self._first(*waits)
        for wait in waits:
            wait.cancel()
        if self._stop.is_set():
            return
        if was_running and self._runtime.ended:
            code = self._runtime.process.returncode
            self.say(f"the server ended with exit code {code}; it starts again with a change")
        elif changed.done():
            is_code = self._take() == "code"
            await self._follow(is_code=is_code)
        else:
            self._tell_ready()

    async def _follow(self, *, is_code: bool) -> None:
        """Take over what the files say now; keep what was good where they have faults."""
        try:
            new = self.build()
        except BreakwaterError as error:
            for line in lines(error):
                self.say(line)
            self.say("the last good state stays")
            self._is_broken = True
            return
        if self._is_broken:
            self.say("the files are good again")
        self._is_broken = False
        old = self._program
        self._adopt(new)
        if is_code or self._runtime.ended or new.replaces(old):
            await self._restart(old)
        elif new.pod != old.pod:
            await self._take_over(old)
        self._tell_notes(besides=old.notes)

    def _adopt(self, program: Program) -> None:
        """Go on with another state; files that it alone is made of are no change."""
        old, self._program = self._program, program
        if (old.modules, old.commands) != (program.modules, program.commands):
            self._read = self._read[0], self._digest()[1]

    async def _restart(self, old: Program) -> None:
        self.say("starting again with the change")
        await self._end()
        if await self._started() is not Start.ENDED:
            return
        if self._program.replaces(old):
            self._adopt(old)
            self.say("it does not start so; the last good state comes back")
            await self._end()
            if await self._started() is Start.ENDED:
                self.say("nor does that; correct it and it starts again")
        else:
            self.say("it does not start so; correct it and it starts again")

    async def _started(self) -> Start:
        """Start, and wait for what becomes of it, but not while there is something to follow."""
        await self._start()
        ready = asyncio.create_task(self._runtime.ready())
        changed = asyncio.create_task(self._changed())
        await self._first(ready, changed)
        changed.cancel()
        if not ready.done():
            ready.cancel()
            return Start.PENDING
        if not ready.result():
            return Start.ENDED
        self._tell_ready()
        return Start.READY

    def _tell_ready(self) -> None:
        self._is_ready = True
        if self._is_announced:
            self.say("ready again")
        else:
            self._is_announced = True
            for line in announcement(self._program, self.place, self.secrets, self.folder):
                self.say(line)
            self._tell_notes()

    async def _end(self) -> None:
        """Stop the server, and then what it asks: calls drain into backends that are there."""
        if self._telling is not None:
            self._telling.cancel()
        if not self._runtime.ended:
            await self._runtime.stop()
        await self._sidecars.stop()

    async def _take_over(self, old: Program) -> None:
        """Have the running process read what it can take over; no call notices."""
        fault = await self._loaded()
        if fault is None:
            self.say("the change is taken over")
            return
        self._program = old
        await self._loaded(again=True)
        self.say(f"refused: {fault.replace(f'{self.folder.root}/', '')}")
        self.say("the last good state stays")

    async def _loaded(self, *, again: bool = False) -> str | None:
        """Have the process read the files; return why it does not take them over."""
        self._write()
        localised = self._program.pod.localised(self.folder.local(self._program.pod))
        wanted = self._program.live_hash(localised)
        try:
            async with asyncio.timeout(TAKE_OVER_SECONDS):
                return await self._runtime.took_over(wanted, again=again)
        except TimeoutError:
            return "it does not answer"

    async def _start(self) -> None:
        program = self._program
        self.folder.empty(program.pod)
        self._write()
        self._is_ready = False
        self._sidecars = Sidecars(
            program.pod, self.folder, self.machine, self.environment, self.working_folder,
            self.cache, self.folder.root.name, self.say,
        )  # fmt: skip
        await self._sidecars.start()
        localised = program.pod.localised(self.folder.local(program.pod))
        self._runtime = await Runtime.start(
            self.folder.config(program.pod),
            {**self.environment, **self._python_path(), **localised.variables},
            self.place.management_port,
            self.secrets.admin_key,
            profiling=self.place.profiling,
        )
        self._telling = asyncio.create_task(tell(self._runtime, self.say))

    def _write(self) -> None:
        try:
            self.folder.write(self._program.pod)
        except OSError as error:
            raise BreakwaterError(f"{error.filename}: {error.strerror}") from error

    def _python_path(self) -> dict[str, str]:
        given = self.environment.get("PYTHONPATH")
        return {"PYTHONPATH": os.pathsep.join(filter(None, (str(self.working_folder), given)))}

    async def _first(self, *tasks: "asyncio.Task[object] | asyncio.Task[bool]") -> None:
        """Wait until one of some tasks is done, or until we are told to stop."""
        stop = asyncio.create_task(self._stop.wait())
        await asyncio.wait({stop, *tasks}, return_when=asyncio.FIRST_COMPLETED)
        stop.cancel()

    async def _changed(self) -> None:
        """Wait until the files are others than when they were last read."""
        while self._digest() == self._read:  # noqa: ASYNC110 - a file sets no event
            await asyncio.sleep(WATCH_SECONDS)

    def _take(self) -> str:
        """Say which files changed, and know them as they are now."""
        now = self._digest()
        changed = "manifest" if now[0] != self._read[0] else "code"
        self._read = now
        return changed

    def _digest(self) -> tuple[bytes, bytes]:
        manifests = hashlib.sha256()
        for file in self.files:
            with contextlib.suppress(OSError):
                manifests.update(hashlib.sha256(file.read_bytes()).digest())
        code = hashlib.sha256()
        for file in self._code():
            with contextlib.suppress(OSError):
                code.update(f"{file} {file.stat().st_mtime_ns}\n".encode())
        return manifests.digest(), code.digest()

    def _code(self) -> Iterator[Path]:
        program = self._program
        yield from watched(self.working_folder, program.modules, program.commands)

    def _interrupted(self) -> None:
        self._interrupts += 1
        self._stop.set()
        if self._interrupts > 1:
            self._runtime.kill()
            self._sidecars.kill()

    def _tell_notes(self, besides: Sequence[str] = ()) -> None:
        for note in self._program.notes:
            if note not in besides:
                self.say(note)


def lines(error: BreakwaterError) -> Iterator[str]:
    """Write an error, one fault a line."""
    if isinstance(error, SpecError):
        yield from map(str, error.faults)
    else:
        yield str(error)
