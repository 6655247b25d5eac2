import io
import json
import tarfile
from pathlib import Path

import pytest

from dev.cluster import images
from dev.cluster.provider import ClusterError


@pytest.fixture
def program(tmp_path: Path) -> Path:
    path = tmp_path / "tool"
    path.write_bytes(b"\x7fELF")
    return path


def test_an_archive_names_its_image_and_its_content(tmp_path: Path, program: Path) -> None:
    first, second = tmp_path / "1.tar", tmp_path / "2.tar"
    images.write_single_program_archive(first, program, "breakwater.local/tool:1")
    images.write_single_program_archive(second, program, "breakwater.local/tool:1")

    assert first.read_bytes() == second.read_bytes()
    assert images.archive_names(first) == ["breakwater.local/tool:1"]
    assert images.find(str(first)).identity == images.archive_identity(second)


def test_an_oci_archive_is_named_by_its_annotations(tmp_path: Path) -> None:
    index = {"manifests": [{"annotations": {"io.containerd.image.name": "a.example/b:2"}}]}
    path = tmp_path / "oci.tar"
    _write(path, {"index.json": json.dumps(index).encode()})

    assert images.archive_names(path) == ["a.example/b:2"]


@pytest.mark.parametrize(
    ("name", "full"),
    [
        ("tool", "docker.io/library/tool:latest"),
        ("me/tool:1", "docker.io/me/tool:1"),
        ("localhost/tool:1", "localhost/tool:1"),
        ("localhost:5000/tool", "localhost:5000/tool:latest"),
        ("breakwater.local/tool:1", "breakwater.local/tool:1"),
    ],
)
def test_names_are_completed_as_the_kubelet_does(name: str, full: str) -> None:
    assert images.full_name(name) == full


def test_an_unknown_image_is_said_to_be_neither_file_nor_image() -> None:
    with pytest.raises(ClusterError, match="neither a file nor an image"):
        images.find("breakwater.local/there-is-no-such-image:1")


@pytest.mark.parametrize("content", [b"no tar", None])
def test_a_file_that_is_no_archive_is_refused(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "x.tar"
    if content is None:
        _write(path, {"other": b""})
    else:
        path.write_bytes(content)

    with pytest.raises(ClusterError, match=str(path)):
        images.find(str(path))


def _write(path: Path, members: dict[str, bytes]) -> None:
    with tarfile.open(path, "w") as archive:
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
