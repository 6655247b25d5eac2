"""Labels say where an image comes from, and nothing that is nobody's business."""

import pytest

from dev.images.source import labels, web_address
from dev.images.target import Image, version


@pytest.mark.parametrize(
    ("remote", "address"),
    [
        pytest.param("https://git.example/a/b.git\n", "https://git.example/a/b", id="https"),
        pytest.param("https://me:secret@git.example/a/b", "https://git.example/a/b", id="token"),
        pytest.param("ssh://git@git.example:22/a/b.git", "https://git.example/a/b", id="ssh"),
        pytest.param("git@git.example:a/b.git", "https://git.example/a/b", id="scp"),
        pytest.param("/srv/git/b", None, id="a-folder"),
        pytest.param("", None, id="none"),
    ],
)
def test_a_remote_becomes_an_address_without_credentials(remote: str, address: str | None) -> None:
    assert web_address(remote) == address


def test_an_image_is_labelled_with_its_version_and_commit() -> None:
    found = labels(Image("runtime"))

    assert found["org.opencontainers.image.version"] == version()
    assert found["org.opencontainers.image.revision"]
    assert found["org.opencontainers.image.created"].endswith("Z")
