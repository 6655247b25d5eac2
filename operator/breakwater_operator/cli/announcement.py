"""What `breakwater dev` says once a server is ready: where it is, and how it differs from a pod."""

import shlex
from collections.abc import Iterator

from breakwater_operator.cli.folder import Folder
from breakwater_operator.cli.program import Place, Program, Secrets, url
from breakwater_operator.cli.sidecar import Sidecar
from breakwater_operator.render.containers import HOME_PATH, TMP_PATH


def announcement(program: Program, place: Place, secrets: Secrets, folder: Folder) -> Iterator[str]:
    """Say where a server is served, with which key, and what runs where."""
    management = f"http://127.0.0.1:{place.management_port}"
    yield f"{program.name} is served at {url(place)}"
    yield f"health and metrics: {management}/health"
    if place.profiling:
        address = f"{management}/profile?seconds=5"
        yield f"where its time goes: curl -H 'X-API-Key: {secrets.admin_key}' '{address}'"
    if program.generated_key is not None:
        yield f"key (shown once): {program.generated_key}"
        yield "send it as X-API-Key, or as Authorization: Bearer"
    for path, name in sorted(program.pod.folders.items()):
        yield f"{path} is {folder.data / name} here, wherever a variable or a setting names it"
    for sidecar in program.pod.sidecars:
        yield from _sidecar(sidecar, folder.of(sidecar))


def _sidecar(sidecar: Sidecar, folder: Folder) -> Iterator[str]:
    about = f"backend {sidecar.name}:"
    if sidecar.image is not None:
        yield f"{about} {sidecar.image.engine} runs {sidecar.image.reference}"
        return
    yield (
        f"{about} {shlex.join(sidecar.words)} runs here without its image, as you, and may write "
        "wherever you may"
    )
    local = folder.local(sidecar)
    for path in sorted(local.keys() - {TMP_PATH, HOME_PATH}):
        yield f"{about} {path} is {local[path]} here, wherever a variable or an argument names it"
