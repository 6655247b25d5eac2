from pathlib import Path

from dev.cluster.local.kernel import raise_limits


def test_a_limit_is_raised_and_never_lowered(tmp_path: Path) -> None:
    limits = tmp_path / "fs" / "inotify"
    limits.mkdir(parents=True)
    (limits / "max_user_instances").write_text("128\n")
    (limits / "max_user_watches").write_text("1048576\n")

    raise_limits(tmp_path)

    assert (limits / "max_user_instances").read_text() == "8192\n"
    assert (limits / "max_user_watches").read_text() == "1048576\n"


def test_a_limit_that_cannot_be_read_is_left(tmp_path: Path) -> None:
    raise_limits(tmp_path)

    assert list(tmp_path.iterdir()) == []
