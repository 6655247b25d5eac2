"""What the command line says when it cannot do what was asked."""

from pathlib import Path

import pytest

from dev.images import cache
from dev.images.__main__ import main
from dev.images.target import images


@pytest.fixture(autouse=True)
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "default", lambda: tmp_path)


def test_an_image_that_is_not_built_has_no_path(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["path", "runtime"]) == 1

    assert "run `python -m dev.images build runtime`" in capsys.readouterr().err


def test_an_unknown_image_is_answered_with_the_known_ones(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["build", "runtme"]) == 1

    assert "runtme: no such image; there are operator, runtime" in capsys.readouterr().err


def test_nothing_is_listed_as_built_in_an_empty_cache(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list"]) == 0

    assert capsys.readouterr().out.count("(not built)") == len(images())
