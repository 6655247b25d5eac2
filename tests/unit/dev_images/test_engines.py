"""Which engine builds, and what it is told."""

from dataclasses import dataclass
from pathlib import Path
from typing import cast

import pytest

from dev.images.engines import Build, Docker, Engine, choose
from dev.images.target import ImageError


@dataclass
class Fake:
    """An engine of which only the answer to one question matters."""

    name: str
    working: bool

    def works(self) -> bool:
        return self.working


def engines(**working: bool) -> list[Engine]:
    return [cast("Engine", Fake(name, works)) for name, works in working.items()]


def test_the_first_engine_that_works_builds() -> None:
    assert choose(engines(docker=False, podman=True, buildah=True)).name == "podman"


def test_where_none_works_the_message_names_all() -> None:
    with pytest.raises(ImageError, match="none of docker, podman works here"):
        choose(engines(docker=False, podman=False))


@pytest.mark.parametrize(
    ("script", "works"),
    [
        pytest.param("exit 0", True, id="answers"),
        pytest.param("echo 'Cannot connect to the daemon' >&2; exit 1", False, id="no-server"),
        pytest.param(None, False, id="not-installed"),
    ],
)
def test_a_client_without_its_server_does_not_work(
    tmp_path: Path, script: str | None, works: bool
) -> None:
    client = tmp_path / "docker"
    if script is not None:
        client.write_text(f"#!/bin/sh\n{script}\n")
        client.chmod(0o755)

    assert Docker(str(client)).works() is works


def test_no_build_has_the_network() -> None:
    build = Build(Path("C"), Path("ctx"), "x:1", {"BASE": "b"}, {"l": "1"}, cached=False)

    options = build.options()

    assert " ".join(options) == (
        "--network none --file C --tag x:1 --build-arg BASE=b --label l=1 --no-cache ctx"
    )
