"""Building the programs of a cluster from Go modules, once per content."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import platform
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dev.cluster import files
from dev.cluster.provider import ClusterError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from dev.cluster.progress import Progress

MODULES = Path(__file__).parent / "go"
"""The Go modules, one folder each, with their go.mod and go.sum."""

KUBERNETES = "1.36.3"
CONTAINERD = "2.4.2"

_GO_ENVIRONMENT = {
    # Without cgo no C compiler is needed and the programs are static.
    "CGO_ENABLED": "0",
    "GOFLAGS": "",
    "GOWORK": "off",
}


@dataclass(frozen=True, kw_only=True)
class Program:
    """One build: the programs that one call of `go build` makes."""

    name: str
    title: str
    module: str
    packages: tuple[str, ...]
    tags: str = ""
    ldflags: str = "-s -w"


def _versions(package: str, version: str) -> str:
    major, minor, _ = version.split(".")
    facts = {"gitVersion": f"v{version}", "gitMajor": major, "gitMinor": minor}
    return " ".join(f"-X {package}.{name}={value}" for name, value in facts.items())


_C = "github.com/containerd/containerd/v2"

KUBE = Program(
    name="kube",
    title=f"etcd, Kubernetes {KUBERNETES} and kubectl",
    module="kube",
    packages=(".",),
    tags="providerless",
    ldflags=f"-s -w {_versions('k8s.io/component-base/version', KUBERNETES)}"
    f" -X k8s.io/component-base/version.gitTreeState=clean"
    f" {_versions('k8s.io/client-go/pkg/version', KUBERNETES)}",
)
CONTAINER_RUNTIME = Program(
    name="containerd",
    title=f"containerd {CONTAINERD}",
    module="containerd",
    packages=tuple(f"{_C}/cmd/{name}" for name in ("containerd", "containerd-shim-runc-v2", "ctr")),
    tags="no_btrfs no_zfs no_devmapper",
    ldflags=f"-s -w -X {_C}/version.Version={CONTAINERD}",
)
PAUSE = Program(name="pause", title="the pause image", module="pause", packages=(".",))
PROBE = Program(name="probe", title="the probe image", module="probe", packages=(".",))
"""What the cluster's own tests run in pods."""

DNS = Program(name="dns", title="CoreDNS", module="addons", packages=("./dns",))
METRICS_SERVER = Program(
    name="metrics-server",
    title="metrics-server",
    module="addons",
    packages=("sigs.k8s.io/metrics-server/cmd/metrics-server",),
)
KWOK = Program(
    name="kwok",
    title="kwok",
    module="addons",
    packages=("sigs.k8s.io/kwok/cmd/kwok", "./stages"),
)
SCANNERS = Program(
    name="scanners",
    title="kubeconform and kube-score",
    module="scanners",
    packages=(
        "github.com/yannh/kubeconform/cmd/kubeconform",
        "github.com/zegl/kube-score/cmd/kube-score",
    ),
)
"""What manifests are checked with."""

HELM = Program(name="helm", title="Helm", module="addons", packages=("helm.sh/helm/v3/cmd/helm",))


def content_hash(program: Program, *, modules: Path, go_version: str, machine: str) -> str:
    """Name what a build is made of: sources, pinned versions, flags, compiler, machine.

    Two builds with the same hash are the same program; tests of it need no compiler.
    """
    digest = hashlib.sha256()
    facts = (dataclasses.astuple(program), sorted(_GO_ENVIRONMENT.items()), go_version, machine)
    digest.update(repr(facts).encode())
    folder = modules / program.module
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            digest.update(f"\0{path.relative_to(folder)}\0".encode() + path.read_bytes())
    return digest.hexdigest()[:16]


class Builder:
    """Builds programs into a cache and finds them there.

    Args:
        cache: the folder for them; each build has a folder of its own in it, whole or absent.
        environment: what `go` is started with.
    """

    def __init__(self, cache: Path, environment: Mapping[str, str]) -> None:
        self._cache = cache
        self._environment = {**environment, **_GO_ENVIRONMENT}

    def folder(self, program: Program) -> Path:
        """Where the programs of a build are, or will be."""
        digest = content_hash(
            program, modules=MODULES, go_version=_go_version(), machine=platform.machine()
        )
        return self._cache / "bin" / f"{program.name}-{digest}"

    def missing(self, programs: Iterable[Program]) -> list[Program]:
        """Which of them have to be built."""
        return [program for program in programs if not self.folder(program).is_dir()]

    def build(self, program: Program, progress: Progress) -> Path:
        """Make sure that a build is in the cache, and say where.

        Two builders of the same program do not collide: the second waits and finds it done. The
        lock is handed down to the compiler: if we are killed, the next builder waits until the
        compiler we left behind is gone, and then goes on from the compiler's own cache.
        """
        folder = self.folder(program)
        if folder.is_dir():
            return folder
        with (
            progress.step(f"building {program.title}"),
            files.locked(
                self._cache / "locks" / program.module,
                waiting=lambda: progress.say("waiting for another build of the same module"),
            ) as lock,
        ):
            if not folder.is_dir():
                self._compile(program, folder, lock)
        return folder

    def _compile(self, program: Program, folder: Path, lock: int) -> None:
        scratch = folder.with_name(f".{folder.name}")
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir(parents=True)
        # A trailing slash makes go name each program after its package.
        command = ["go", "build", "-mod=readonly", "-trimpath", "-buildvcs=false"]
        command += ["-tags", program.tags, "-ldflags", program.ldflags, "-o", f"{scratch}/"]
        done = subprocess.run(
            [*command, *program.packages],
            cwd=MODULES / program.module,
            env=self._environment,
            pass_fds=(lock,),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise ClusterError(
                f"building {program.title} failed; `go build` in dev/cluster/go/{program.module} "
                f"said:\n{_tail(done.stderr)}"
            )
        scratch.rename(folder)


def _tail(text: str, lines: int = 30) -> str:
    return "\n".join(text.strip().splitlines()[-lines:])


@functools.cache
def _go_version() -> str:
    done = subprocess.run(["go", "env", "GOVERSION"], capture_output=True, text=True, check=False)
    return done.stdout.strip()
