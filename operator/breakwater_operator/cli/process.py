"""The runtime as a process of ours."""

import asyncio
import ctypes
import http.client
import json
import shutil
import signal
import sys
from asyncio.subprocess import Process
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from breakwater_operator.api.errors import BreakwaterError

COMMAND = "breakwater-runtime"
POLL_SECONDS = 0.1
ASK_SECONDS = 2.0

_LIBC = ctypes.CDLL(None)
_PR_SET_PDEATHSIG = 1


class RuntimeMissingError(BreakwaterError):
    """The runtime is not installed."""

    def __init__(self) -> None:
        super().__init__(
            f"{COMMAND} is not installed; install it beside this command: "
            'pip install "mcp-breakwater[cli,runtime]"'
        )


def command() -> str:
    """Find the runtime: beside this Python, or else on the path.

    Raises:
        RuntimeMissingError: It is nowhere.
    """
    beside = Path(sys.executable).with_name(COMMAND)
    found = str(beside) if beside.exists() else shutil.which(COMMAND)
    if found is None:
        raise RuntimeMissingError
    return found


@dataclass
class Runtime:
    """One run of it."""

    process: Process
    management_port: int
    admin_key: str

    @classmethod
    async def start(
        cls,
        config: Path,
        environment: Mapping[str, str],
        management_port: int,
        admin_key: str,
        *,
        profiling: bool = False,
    ) -> "Runtime":
        """Start it, in a group of its own: what the terminal sends is for us to pass on.

        Raises:
            RuntimeMissingError: It is not installed.
        """
        process = await asyncio.create_subprocess_exec(
            command(),
            "--config",
            str(config),
            *(["--profile"] if profiling else []),
            env=dict(environment),
            stdin=asyncio.subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=end_with_parent,
        )
        return cls(process, management_port, admin_key)

    @property
    def ended(self) -> bool:
        """Whether it runs no more."""
        return self.process.returncode is not None

    async def ready(self) -> bool:
        """Wait until it takes requests; False: it ended instead."""
        while not self.ended:
            if (await self._ask("/ready"))[0] == http.client.OK:
                return True
            await asyncio.sleep(POLL_SECONDS)
        return False

    async def took_over(self, live: str, *, again: bool = False) -> str | None:
        """Wait until it runs on live settings of this hash.

        Args:
            live: The hash.
            again: Whether these take the place of others that it refused, so that for a moment it
                still says so.

        Returns:
            Why it does not; None: it does.
        """
        while not self.ended:
            _, health = await self._ask("/health")
            fault = health.get("settings", {}).get("fault")
            if fault and not again:
                return str(fault)
            if not fault and health.get("loaded", {}).get("live") == live:
                return None
            await asyncio.sleep(POLL_SECONDS)
        return "it ended"

    async def findings(self) -> dict[str, tuple[str, str]] | None:
        """Say what is wrong with backends: a reason and a message for each, by their names.

        None: nobody answers.
        """
        _, health = await self._ask("/health")
        if "backends" not in health:
            return None
        return {
            backend["name"]: (finding["reason"], finding["message"])
            for backend in health["backends"]
            for finding in backend["findings"][:1]
        }

    async def _ask(self, path: str) -> tuple[int, dict[str, Any]]:
        return await asyncio.to_thread(self._get, path)

    def _get(self, path: str) -> tuple[int, dict[str, Any]]:
        connection = http.client.HTTPConnection(
            "127.0.0.1", self.management_port, timeout=ASK_SECONDS
        )
        try:
            connection.request("GET", path, headers={"x-api-key": self.admin_key})
            response = connection.getresponse()
            return response.status, json.loads(response.read())
        except (OSError, http.client.HTTPException, ValueError):
            return 0, {}
        finally:
            connection.close()

    def hurry(self) -> None:
        """Ask it to let calls finish and end, without waiting for anybody to notice first."""
        if not self.ended:
            self.process.send_signal(signal.SIGINT)

    def kill(self) -> None:
        """End it now."""
        if not self.ended:
            self.process.kill()

    async def stop(self) -> int:
        """Drain it; return its exit code."""
        self.hurry()
        return await self.process.wait()


def end_with_parent() -> None:
    """Have Linux stop the runtime with us, however we end."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
