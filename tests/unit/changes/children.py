"""What the tests of the change folders do in processes of their own."""

from __future__ import annotations

import os
import signal
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from breakwater_runtime.servers.changes.desk import Desk
from breakwater_runtime.servers.changes.errors import ChangeError
from breakwater_runtime.servers.changes.proposal import Proposal

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.synchronize import Barrier

TODAY = date(2026, 11, 21)
WRITES = ("mkdir", "open", "fdopen", "fchmod", "fsync", "rename", "unlink", "rmdir")
"""The calls by which the server touches a volume; opening to read counts too."""

WANTED = Proposal(
    "add-login",
    title="Log in with a key",
    tasks=["Write the form"],
    deltas={"user-auth": "## ADDED Requirements", "web": "## ADDED Requirements"},
)


def desk_at(root: str) -> Desk:
    return Desk(Path(root), lambda: TODAY, lock_timeout_seconds=30)


def act(root: str, action: str) -> None:
    if action == "open":
        desk_at(root).open(WANTED)
    else:
        desk_at(root).archive(WANTED.change, force=True)


def prepare(root: str, action: str) -> None:
    """Make a root where the action has something to do."""
    Path(root).mkdir()
    if action == "archive":
        act(root, "open")


def before_each_write(act_before: Callable[[int], None]) -> Callable[[], int]:
    """Have something done before each of this process's calls that touch a volume.

    Returns:
        How many calls there were so far.
    """
    calls = 0

    def wrapped(call: Callable[..., Any]) -> Callable[..., Any]:
        def replacement(*arguments: Any, **options: Any) -> Any:
            nonlocal calls
            calls += 1
            act_before(calls)
            return call(*arguments, **options)

        return replacement

    for name in WRITES:
        setattr(os, name, wrapped(getattr(os, name)))
    return lambda: calls


def die_at_every_step(base: str, action: str) -> None:
    """Do the same below `<base>/1`, `<base>/2` ...: killed before call 1, before call 2 ...

    The first one that no kill reaches is the last one. Each root is made, and gets a file that
    says how its process ended.
    """
    for call in range(1, 500):
        prepare(f"{base}/{call}", action)
        process = os.fork()
        if process == 0:
            _die_before(f"{base}/{call}", action, call)
            os._exit(0)
        _, status = os.waitpid(process, 0)
        Path(f"{base}/{call}/ended").write_text(str(os.waitstatus_to_exitcode(status)))
        if status == 0:
            return
    raise AssertionError("more steps than there can be")


def _die_before(root: str, action: str, call: int) -> None:
    def kill(number: int) -> None:
        if number == call:
            os.kill(os.getpid(), signal.SIGKILL)

    before_each_write(kill)
    act(root, action)


def race(root: str, action: str, number: int, start: Barrier, answers: Any) -> None:
    """Open or archive the same change as others at the same time, and report the answer."""
    desk = desk_at(root)
    start.wait()
    try:
        if action == "open":
            won = desk.open(Proposal("add-login", title=f"Title {number}")).opened
        elif action == "open-alike":
            won = desk.open(WANTED).opened
        else:
            won = desk.archive("add-login", force=True).archived
    except ChangeError as error:
        answers.put((number, str(error)))
    else:
        answers.put((number, won))
