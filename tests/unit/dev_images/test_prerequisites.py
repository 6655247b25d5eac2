"""Missing programs are named all at once."""

from collections.abc import Sequence

import pytest

from dev.prerequisites import MissingProgramsError, Program, message, require

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
