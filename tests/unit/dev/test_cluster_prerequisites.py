from pathlib import Path

import pytest

from dev.cluster import prerequisites
from dev.cluster.prerequisites import message, missing
from dev.cluster.provider import Size


@pytest.fixture
def cgroups(tmp_path: Path) -> Path:
    (tmp_path / "cgroup.controllers").write_text("cpu memory pids\n")
    return tmp_path


@pytest.fixture
def plugins(tmp_path: Path) -> Path:
    folder = tmp_path / "cni"
    folder.mkdir()
    for plugin in prerequisites.CNI_PLUGINS:
        (folder / plugin).touch()
    return folder


def test_a_machine_with_everything_lacks_nothing(cgroups: Path, plugins: Path) -> None:
    lacking = missing(
        Size.NODE,
        which=lambda tool: f"/usr/bin/{tool}",
        go_version=lambda: "go1.27.1",
        is_root=True,
        cni_folders=[plugins],
        cgroups=cgroups,
    )

    assert lacking == []


def test_one_message_lists_all_that_is_missing_and_how_to_get_it(tmp_path: Path) -> None:
    lacking = missing(
        Size.NODE,
        which=lambda tool: None if tool in {"go", "runc", "nft"} else tool,
        is_root=False,
        cni_folders=[],
        cgroups=tmp_path,
    )

    said = message(lacking)

    for what in ("go 1.", "runc:", "nft:", "CNI plugins", "root:", "memory controller"):
        assert what in said
    assert "apt-get install containernetworking-plugins nftables runc" in said


def test_a_control_plane_needs_no_container_tools(tmp_path: Path) -> None:
    lacking = missing(
        Size.CONTROL_PLANE,
        which=lambda tool: None if tool in {"runc", "nft", "iptables"} else tool,
        go_version=lambda: "go1.26.8",
        is_root=True,
        cni_folders=[],
        cgroups=tmp_path,
    )

    assert lacking == []


@pytest.mark.parametrize("version", ["go1.25.9", "go1.9", "devel", ""])
def test_a_go_that_is_too_old_is_named(cgroups: Path, plugins: Path, version: str) -> None:
    lacking = missing(
        Size.NODE,
        which=lambda tool: tool,
        go_version=lambda: version,
        is_root=True,
        cni_folders=[plugins],
        cgroups=cgroups,
    )

    needed = ".".join(map(str, prerequisites.go_needed()))
    found = version or "none that runs"
    assert [item.what for item in lacking] == [f"go {needed} or later (found {found})"]
