"""Missing programs are named all at once."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from dev.prerequisites import MissingProgramsError, Program, apt_install, message, require

TOOLS = (Program("runc", "runc"), Program("mkfs", "e2fsprogs"), Program("ip", "iproute2"))


def test_what_is_there_is_not_installed() -> None:
    installed: list[Sequence[str]] = []

    require(TOOLS, look=lambda _: "/bin/it", install=installed.append)

    assert installed == []


def test_all_that_is_missing_is_installed_at_once() -> None:
    there = {"ip"}

    def install(packages: Sequence[str]) -> None:
        assert packages == ["e2fsprogs", "runc"]
        there.update({"mkfs", "runc"})

    require(TOOLS, look=lambda name: name if name in there else None, install=install)

    assert there == {"ip", "mkfs", "runc"}


def test_what_cannot_be_installed_is_named_with_its_package() -> None:
    with pytest.raises(MissingProgramsError) as raised:
        require(TOOLS, look=lambda _: None, install=lambda _: None)

    assert "not found: ip, mkfs, runc" in str(raised.value)
    assert "apt-get install --no-install-recommends e2fsprogs iproute2 runc" in message(TOOLS)


APT = """\
#!/bin/sh
echo begins >> {log}
sleep 0.2
echo ends >> {log}
"""


def test_two_that_install_at_once_do_so_one_after_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log, program = tmp_path / "log", tmp_path / "apt-get"
    program.write_text(APT.format(log=log))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    install = partial(apt_install, lock=tmp_path / "lock")

    with ThreadPoolExecutor() as pool:
        list(pool.map(install, [["runc"], ["iproute2"]]))

    said = log.read_text().split()
    assert said == ["begins", "ends"] * (len(said) // 2)
    assert len(said) >= 4
