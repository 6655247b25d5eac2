"""Where an image comes from: the commit that last changed what it is made of."""

from __future__ import annotations

import datetime as dt
import re
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dev.images.rootfs import MODIFIED
from dev.images.target import ROOT, Image, version

if TYPE_CHECKING:
    from collections.abc import Mapping

DISTRIBUTION = ("LICENSE", "README.md", "pyproject.toml", "contract", "operator", "runtime")
COMPILING = ("dev/compiled.py", "dev/wheel_hook.py")
PREFIX = "org.opencontainers.image"


@dataclass(frozen=True)
class Commit:
    """A commit, and whether files differ from it."""

    revision: str
    seconds: int
    changed: bool = False


def paths(image: Image) -> tuple[str, ...]:
    """List the paths of this repository that an image is made of."""
    if image.is_ours:
        return (*DISTRIBUTION, *COMPILING, f"requirements/{image.name}.txt", "dev/images")
    return (*paths(Image("runtime")), str(image.folder.relative_to(ROOT)))


def labels(image: Image) -> Mapping[str, str]:
    """Return the labels that differ from build to build.

    They name the last commit that changed the image's own sources, rather than the newest one: a
    commit to the documentation makes no new images.
    """
    commit = _commit(paths(image))
    source = web_address(_git("remote", "get-url", "origin"))
    created = dt.datetime.fromtimestamp(commit.seconds, dt.UTC)
    return {
        f"{PREFIX}.version": version(),
        f"{PREFIX}.revision": commit.revision + ("-dirty" if commit.changed else ""),
        f"{PREFIX}.created": created.isoformat().replace("+00:00", "Z"),
        **({f"{PREFIX}.source": source} if source else {}),
    }


def web_address(remote: str) -> str | None:
    """Turn a git remote into the address that people open, without anybody's credentials."""
    remote = remote.strip().removesuffix(".git")
    if found := re.fullmatch(r"(?:https?|ssh)://(?:[^@/]+@)?([^/:]+)(?::\d+)?/(.+)", remote):
        return f"https://{found[1]}/{found[2]}"
    if found := re.fullmatch(r"[^@/:]+@([^/:]+):(.+)", remote):
        return f"https://{found[1]}/{found[2]}"
    return None


def _commit(where: tuple[str, ...]) -> Commit:
    logged = _git("log", "-1", "--format=%H %ct", "--", *where).split()
    if not logged:
        return Commit("unknown", MODIFIED)
    revision, seconds = logged
    return Commit(revision, int(seconds), bool(_git("status", "--porcelain", "--", *where)))


def _git(*command: str) -> str:
    # No git, or no repository (an unpacked archive): then nothing is known, and that is fine.
    try:
        done = subprocess.run(
            ["git", *command], cwd=ROOT, check=False, text=True, capture_output=True
        )
    except FileNotFoundError:
        return ""
    return done.stdout if done.returncode == 0 else ""
