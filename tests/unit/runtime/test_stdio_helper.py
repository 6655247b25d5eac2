"""What the runtime makes of what the helper says."""

import asyncio
import socket
from pathlib import Path

import pytest

from breakwater_runtime.backends.container.helper import Helper, HelperError


@pytest.mark.requirement("A5")
@pytest.mark.parametrize(
    ("said", "why"),
    [
        # Its keeper was killed before it had forked the command.
        ("exited 1 signal 9 ", "it ended with signal 9 before it was started"),
        ("failed 1 server: No such file or directory", "server: No such file or directory"),
    ],
)
async def test_who_waits_for_a_child_that_never_was_is_told_at_once(
    tmp_path: Path, said: str, why: str
) -> None:
    path = str(tmp_path / "socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(path)
        listener.listen()
        helper = Helper(path, None)
        running = asyncio.create_task(helper.run())
        await helper.connected()
        asked, _ = listener.accept()
        with asked:
            starting = asyncio.create_task(helper.start())
            assert await asyncio.to_thread(asked.recv, 100) == b"start 1 pipes"
            asked.send(said.encode())

            with pytest.raises(HelperError, match=f"^{why}$"):
                await asyncio.wait_for(starting, 60)
        running.cancel()
