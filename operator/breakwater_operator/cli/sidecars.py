"""The containers of backends as processes of ours: started, started again, and ended."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from asyncio.subprocess import Process
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from breakwater_operator.api.errors import BreakwaterError
from breakwater_operator.cli import helper
from breakwater_operator.cli.folder import Folder
from breakwater_operator.cli.machine import Machine
from breakwater_operator.cli.pod import Pod
from breakwater_operator.cli.process import end_with_parent
from breakwater_operator.cli.sidecar import LABEL, SOCKET, WORK, Sidecar
from breakwater_operator.render.containers import SOCKET_PATH

AGAIN_SECONDS = 0.5
AGAIN_SECONDS_MAX = 10.0
STEADY_SECONDS = 10.0
"""What lived so long is started again at once."""

STOP_SECONDS = 5.0
"""How long a process may live on after SIGTERM."""

REMOVE_SECONDS = 30.0

SOCKET_BYTES_MAX = 107
"""How long the path of a Unix socket may be on Linux."""


@dataclass
class Sidecars:
    """Those of one state of the manifests."""

    pod: Pod
    folder: Folder
    machine: Machine
    environment: Mapping[str, str]
    """What each gets besides its own variables."""
    working_folder: Path
    cache: Path
    """Where the helper is kept once it was compiled."""
    run: str
    """Names this run of ours."""
    say: Callable[[str], None]
    _keeping: list[asyncio.Task[None]] = field(init=False, default_factory=list)
    _processes: dict[str, Process] = field(init=False, default_factory=dict)

    async def start(self) -> None:
        """Start them all.

        Raises:
            BreakwaterError: There is no helper, and none can be made; or no place for its socket.
        """
        for each in self.pod.sidecars:
            if each.options is not None:
                self._check_socket(self._socket(each))
        program = None
        if any(each.options is not None for each in self.pod.sidecars):
            program = await asyncio.to_thread(helper.find, self.machine.path, self.cache)
        self._keeping = [
            asyncio.create_task(self._keep(each, program)) for each in self.pod.sidecars
        ]

    async def _keep(self, sidecar: Sidecar, program: Path | None) -> None:
        """Keep one running, as kubelet would."""
        loop, wait = asyncio.get_running_loop(), AGAIN_SECONDS
        while True:
            began = loop.time()
            said = await self._once(sidecar, program)
            wait = AGAIN_SECONDS if loop.time() - began > STEADY_SECONDS else wait
            self.say(f"backend {sidecar.name}: {said}; it starts again in {wait:g} s")
            await asyncio.sleep(wait)
            wait = min(wait * 2, AGAIN_SECONDS_MAX)

    async def _once(self, sidecar: Sidecar, program: Path | None) -> str:
        """Run one until it ends; say how that was."""
        own = self.folder.of(sidecar)
        local = own.local(sidecar)
        command = sidecar.command(self.machine, local, self.run)
        if sidecar.options is not None:
            socket = self._socket(sidecar)
            work = local[sidecar.options[WORK]]
            helped = sidecar.helped(socket, work, self.machine)
            command = [str(program), *helped, "--", *command]
        try:
            process = await asyncio.create_subprocess_exec(
                *command,
                env=sidecar.environment(self.environment, local),
                cwd=self.working_folder,
                stdin=asyncio.subprocess.DEVNULL,
                # What a server writes there is its log; ours goes to the same place.
                stdout=sys.stderr.fileno(),
                start_new_session=True,
                preexec_fn=end_with_parent,
            )
        except OSError as error:
            return f"{command[0]} cannot be started ({error.strerror})"
        self._processes[sidecar.name] = process
        code = await process.wait()
        ended = "its helper" if sidecar.options is not None else sidecar.program
        return f"{ended} ended with exit code {code}"

    def _socket(self, sidecar: Sidecar) -> Path:
        """Say where the helper and the runtime meet."""
        given = Path((sidecar.options or {})[SOCKET])
        ours = self.folder.local(self.pod)[f"{SOCKET_PATH.rpartition('/')[0]}/{sidecar.name}"]
        return ours / given.name

    def _check_socket(self, socket: Path) -> None:
        length = len(os.fsencode(socket))
        if length > SOCKET_BYTES_MAX:
            raise BreakwaterError(
                f"{socket} has {length} bytes, and the path of a socket may have "
                f"{SOCKET_BYTES_MAX}; set TMPDIR to a folder with a shorter path, such as /tmp"
            )

    async def stop(self) -> None:
        """End them, and what they started."""
        for each in self._keeping:
            each.cancel()
        await asyncio.gather(*self._keeping, return_exceptions=True)
        self._signal(signal.SIGTERM)
        waits = [asyncio.create_task(each.wait()) for each in self._alive()]
        if waits:
            await asyncio.wait(waits, timeout=STOP_SECONDS)
        self.kill()
        await asyncio.gather(*waits)
        await asyncio.to_thread(self._remove_containers)

    def kill(self) -> None:
        """End them now."""
        for each in self._keeping:
            each.cancel()
        self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        for process in self._alive():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, number)

    def _alive(self) -> Sequence[Process]:
        return [each for each in self._processes.values() if each.returncode is None]

    def _remove_containers(self) -> None:
        """Remove what an engine still runs: its client can be killed without it."""
        engines = {it.image.engine for it in self.pod.sidecars if it.image is not None}
        for engine in engines:
            with contextlib.suppress(subprocess.TimeoutExpired, OSError):
                self._remove(engine)

    def _remove(self, engine: str) -> None:
        ask = [engine, "ps", "--all", "--quiet", "--filter", f"label={LABEL}={self.run}"]
        environment = dict(self.environment)
        left = subprocess.run(
            ask, check=False, capture_output=True, text=True, timeout=REMOVE_SECONDS,
            env=environment,
        ).stdout.split()  # fmt: skip
        if left:
            subprocess.run(
                [engine, "rm", "--force", *left], check=False, capture_output=True,
                timeout=REMOVE_SECONDS, env=environment,
            )  # fmt: skip
