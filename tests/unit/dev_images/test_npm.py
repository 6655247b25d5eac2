"""Images with packages from npm: locked by hashes, fetched before the build, when asked for."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dev.images import npm
from dev.images.__main__ import build
from dev.images.__main__ import parser as command_line
from dev.images.target import LOCK, ImageError, images

FROM_NPM = [image for image in images() if image.is_from_npm]


class Builder:
    """Writes down what it is to build."""

    ref = "built"

    def __init__(self) -> None:
        self.built: list[str] = []

    def build(self, image: Any) -> "Builder":
        self.built.append(image.name)
        return self


@pytest.mark.parametrize("image", FROM_NPM, ids=lambda image: image.name)
def test_every_package_is_locked_by_a_hash_and_without_an_address(image: Any) -> None:
    lock = json.loads((image.folder / LOCK).read_text())

    packages = {name: it for name, it in lock["packages"].items() if name}
    assert packages
    assert [name for name, it in packages.items() if "integrity" not in it] == []
    assert [name for name, it in packages.items() if "resolved" in it] == []


def test_they_are_built_only_where_they_are_named() -> None:
    builder = Builder()

    build(builder, command_line().parse_args(["build"]))  # type: ignore[arg-type]  # a fake
    usual = list(builder.built)
    asked = command_line().parse_args(["build", "everything-server"])
    build(builder, asked)  # type: ignore[arg-type]  # as above

    assert "everything-server" not in usual
    assert "notes-server" in usual
    assert builder.built == [*usual, "everything-server"]


def fake(
    monkeypatch: pytest.MonkeyPatch, work: Callable[[Path], subprocess.CompletedProcess[str]]
) -> None:
    """Put something in the place of npm."""
    monkeypatch.setattr(npm, "require", lambda _: None)
    monkeypatch.setattr(subprocess, "run", lambda *_, cwd, **__: work(cwd))


@pytest.fixture
def source(tmp_path: Path) -> Path:
    (tmp_path / "source").mkdir()
    for name in npm.MANIFEST:
        (tmp_path / "source" / name).write_text("{}")
    return tmp_path / "source"


def test_packages_are_fetched_once_for_each_lock(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def work(folder: Path) -> subprocess.CompletedProcess[str]:
        calls.append(sorted(file.name for file in folder.iterdir()))
        (folder / "node_modules").mkdir()
        return subprocess.CompletedProcess([], 0, "", "")

    fake(monkeypatch, work)
    found = [npm.install(tmp_path / "cache", source) for _ in range(2)]
    (source / LOCK).write_text('{"other": true}')
    other = npm.install(tmp_path / "cache", source)

    assert found[0] == found[1] != other
    assert found[0].is_dir()
    assert calls == [[LOCK, "package.json"]] * 2


def test_a_registry_that_cannot_be_reached_is_told_and_leaves_nothing(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake(monkeypatch, lambda _: subprocess.CompletedProcess([], 1, "", "ENOTFOUND"))

    with pytest.raises(ImageError, match="ENOTFOUND"):
        npm.install(tmp_path / "cache", source)

    assert [it for it in (tmp_path / "cache/npm").iterdir() if not it.name.startswith(".")] == []
