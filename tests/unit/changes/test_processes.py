from __future__ import annotations

import multiprocessing
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from breakwater_runtime.servers.changes.errors import ChangeError
from tests.unit.changes import children

if TYPE_CHECKING:
    from multiprocessing.context import ForkServerContext

pytestmark = [pytest.mark.process, pytest.mark.requirement("T6")]

PROCESSES = 4


@pytest.fixture(scope="module")
def processes() -> ForkServerContext:
    """Return how to start processes in milliseconds, from one that has no threads."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["breakwater_runtime.servers.changes.desk"])
    return context


def visible(root: Path) -> dict[str, str | None]:
    """Return what readers can see, by path: the text of files, None for folders."""
    return {
        str(path.relative_to(root)): path.read_text() if path.is_file() else None
        for path in sorted((root / "changes").glob("**/*"))
        if path != root / "changes" / "archive"
    }


@pytest.fixture(params=["open", "archive"])
def action(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def states(tmp_path: Path, action: str) -> tuple[dict[str, str | None], dict[str, str | None]]:
    """Return what is visible before an action and after it."""
    whole = tmp_path / "whole"
    children.prepare(str(whole), action)
    old = visible(whole)
    children.act(str(whole), action)
    return old, visible(whole)


def test_a_process_killed_at_any_step_leaves_the_old_or_the_new_state(
    tmp_path: Path,
    processes: ForkServerContext,
    action: str,
    states: tuple[dict[str, str | None], dict[str, str | None]],
) -> None:
    old, new = states
    base = tmp_path / "killed"
    base.mkdir()

    process = processes.Process(target=children.die_at_every_step, args=(str(base), action))
    process.start()
    process.join(60)

    roots = sorted(base.iterdir(), key=lambda root: int(root.name))
    ended = [(root / "ended").read_text() for root in roots]
    assert ended == [str(-signal.SIGKILL)] * (len(roots) - 1) + ["0"]
    left = [visible(root) for root in roots]
    assert left[0] == old
    assert left[-1] == new
    assert all(state in (old, new) for state in left)
    assert left == sorted(left, key=lambda state: state == new), "once new, it stays new"
    for root in roots:
        children.act(str(root), action)
        assert visible(root) == new


def test_a_volume_that_fails_at_any_step_leaves_the_old_or_the_new_state(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    action: str,
    states: tuple[dict[str, str | None], dict[str, str | None]],
) -> None:
    old, new = states

    for failing in range(1, 500):
        root = tmp_path / str(failing)
        children.prepare(str(root), action)

        def fail(number: int, failing: int = failing) -> None:
            if number == failing:
                raise OSError(5, "Input/output error")

        with monkeypatch.context() as patched:
            for name in children.WRITES:
                patched.setattr(os, name, getattr(os, name))
            calls = children.before_each_write(fail)
            outcome = _outcome(root, action)
        assert outcome is None or isinstance(outcome, ChangeError), outcome
        assert visible(root) in (old, new)
        children.act(str(root), action)
        assert visible(root) == new
        if calls() < failing:
            break

    assert outcome is None
    assert failing > 5


def _outcome(root: Path, action: str) -> Exception | None:
    try:
        children.act(str(root), action)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is looked at
        return error
    return None


def run_at_once(processes: ForkServerContext, root: Path, actions: list[str]) -> list[Any]:
    answers = processes.Queue()
    start = processes.Barrier(len(actions))
    running = [
        processes.Process(target=children.race, args=(str(root), action, number, start, answers))
        for number, action in enumerate(actions)
    ]
    for process in running:
        process.start()
    found = [answers.get(timeout=30) for _ in running]
    for process in running:
        process.join(30)
    answers.close()
    return [answer for _, answer in sorted(found)]


def test_of_processes_that_open_one_id_exactly_one_wins(
    tmp_path: Path, processes: ForkServerContext
) -> None:
    answers = run_at_once(processes, tmp_path, ["open"] * PROCESSES)

    assert answers.count(True) == 1
    others = [answer for answer in answers if answer is not True]
    assert all("exists already with another proposal.md" in answer for answer in others)
    proposal = (tmp_path / "changes" / "add-login" / "proposal.md").read_text()
    assert proposal.startswith(f"# Title {answers.index(True)}\n")


def test_of_processes_that_repeat_one_call_one_opens_and_all_succeed(
    tmp_path: Path, processes: ForkServerContext
) -> None:
    answers = run_at_once(processes, tmp_path, ["open-alike"] * PROCESSES)

    assert sorted(answers) == [False] * (PROCESSES - 1) + [True]


def test_of_processes_that_archive_one_change_exactly_one_moves_it(
    tmp_path: Path, processes: ForkServerContext
) -> None:
    children.act(str(tmp_path), "open")

    answers = run_at_once(processes, tmp_path, ["archive"] * PROCESSES)

    assert sorted(answers) == [False] * (PROCESSES - 1) + [True]
    assert len(list((tmp_path / "changes" / "archive").iterdir())) == 1


def test_without_the_lock_a_rename_still_lets_only_one_win(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = children.desk_at(str(tmp_path))
    other = tmp_path / "changes" / "add-login"
    rename = os.rename

    def late(*arguments: Any, **options: Any) -> None:
        other.mkdir()
        (other / "proposal.md").write_text("of somebody who takes no lock")
        rename(*arguments, **options)

    monkeypatch.setattr(os, "rename", late)

    with pytest.raises(ChangeError, match="exists already"):
        desk.open(children.WANTED)

    assert (other / "proposal.md").read_text() == "of somebody who takes no lock"
    assert Path(tmp_path / "changes" / "add-login" / "tasks.md").exists() is False
