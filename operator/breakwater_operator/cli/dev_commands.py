"""`breakwater dev`: commands that run something on this machine."""

import asyncio
import contextlib
import os
import secrets
import socket
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from breakwater_contract.names import MANAGEMENT_PORT, MCP_PATH, PUBLIC_PORT
from breakwater_operator.cli import issuer_server
from breakwater_operator.cli.certificates import (
    CA_CERTIFICATE,
    CERTIFICATE,
    KEY,
    LOCAL_HOSTS,
    Authority,
)
from breakwater_operator.cli.dev import Development
from breakwater_operator.cli.folder import Folder
from breakwater_operator.cli.machine import Machine
from breakwater_operator.cli.platforms import EVERYTHING, platform_of
from breakwater_operator.cli.program import Place, Secrets, program
from breakwater_operator.cli.rendering import SECRET_BYTES
from breakwater_operator.cli.terminal import FILES, SERVER, say

ISSUER_PORT = 9000

PASSED_ON = ("HOME", "LANG", "LC_ALL", "LOGNAME", "PATH", "PYTHONPATH", "TMPDIR", "TZ", "USER")
"""What a server gets of the environment of this command: what every process has. What else it
needs must stand in its manifest, or it would be missing in a cluster."""

COLLECTOR = "OTEL_EXPORTER_OTLP_ENDPOINT"
"""Where the platform of this machine sends traces."""


class _Dev(click.Group):
    """A group whose commands may be left out: `dev FILE` is `dev run FILE`."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in self.commands:
            args = ["run", *args]
        return super().resolve_command(ctx, args)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and args[0].startswith("-") and args[0] not in ctx.help_option_names:
            args = ["run", *args]
        return super().parse_args(ctx, args)


@click.group(cls=_Dev)
def dev() -> None:
    """Run a server on this machine: `breakwater dev FILE` is `breakwater dev run FILE`."""


@dev.command("run")
@FILES
@SERVER
@click.option("--port", default=PUBLIC_PORT, show_default=True, type=click.IntRange(1, 65535))
@click.option(
    "--management-port",
    type=click.IntRange(1, 65535),
    help=f"Port of health and metrics; by default {MANAGEMENT_PORT}, or another that is free.",
)
@click.option("--tls", is_flag=True, help="Speak HTTPS; the local authority vouches for it.")
@click.option("--profile", is_flag=True, help="Say where its time goes, at /profile.")
@click.option(
    "--data",
    metavar="FOLDER",
    default=".breakwater",
    show_default=True,
    type=click.Path(path_type=Path),
    help="Where volumes are that the server itself fills.",
)
@click.option("--images", is_flag=True, help="Run the images of containers, by docker or podman.")
@click.option("--ca", metavar="FOLDER", type=click.Path(path_type=Path), help="See `dev ca`.")
def run_server(
    files: tuple[Path, ...],
    server: str | None,
    port: int,
    management_port: int | None,
    tls: bool,
    profile: bool,
    data: Path,
    images: bool,
    ca: Path | None,
) -> None:
    """Run what the operator would render from FILES, as one process on loopback.

    Secrets and ConfigMaps that the McpServer refers to are taken from the FILES. Python modules
    are found from the current folder, and so are the commands of containers, which run here
    without their images; what has no command that this machine knows runs by docker or podman. A
    change of the files is taken over by the running process where a pod would do so; else the
    process starts again. Ctrl-C drains it.
    """
    if Path("-") in files:
        raise click.UsageError("the standard input cannot be followed; write it to a file")
    with tempfile.TemporaryDirectory(prefix="breakwater-") as folder:
        place = Place(
            port,
            management_port or _free_port(MANAGEMENT_PORT, port),
            _certificate(_ca_folder(ca), Path(folder)) if tls else None,
            profile,
        )
        made_up = Secrets(
            secrets.token_bytes(SECRET_BYTES),
            secrets.token_bytes(SECRET_BYTES),
            secrets.token_urlsafe(SECRET_BYTES),
        )
        platform = platform_of(None, **(EVERYTHING | _collector()))
        environment = _passed_on()
        machine = Machine(
            environment.get("PATH", os.defpath), os.getuid(), os.getgid(), str(Path.home()), images
        )
        development = Development(
            build=lambda: program(files, server, place, made_up, platform, machine),
            files=files,
            folder=Folder(Path(folder), data.absolute()),
            place=place,
            secrets=made_up,
            environment=environment,
            working_folder=Path.cwd(),
            machine=machine,
            cache=Path(click.get_app_dir("breakwater")),
            say=say,
        )
        code = asyncio.run(development.run())
    raise SystemExit(code)


@dev.command("ca")
@click.option("--ca", metavar="FOLDER", type=click.Path(path_type=Path), help="Where to keep it.")
def make_ca(ca: Path | None) -> None:
    """Make a local authority, whose certificates clients of this machine can be told to trust.

    Its key stays on this machine, readable by you alone. Nothing is installed anywhere.
    """
    folder = _ca_folder(ca)
    Authority.make(folder, _now())
    click.echo(f"{folder / CA_CERTIFICATE} vouches for `breakwater dev --tls`; clients trust it by")
    click.echo(f"  export SSL_CERT_FILE={folder / CA_CERTIFICATE}          (Python, OpenSSL)")
    click.echo(f"  export NODE_EXTRA_CA_CERTS={folder / CA_CERTIFICATE}    (Node)")
    click.echo(f"  curl --cacert {folder / CA_CERTIFICATE} ...")


@dev.command("certificate")
@click.argument("hosts", nargs=-1)
@click.option(
    "--out",
    metavar="FOLDER",
    default=".",
    show_default=True,
    type=click.Path(path_type=Path),
    help=f"Where to write {CERTIFICATE} and {KEY}.",
)
@click.option("--ca", metavar="FOLDER", type=click.Path(path_type=Path), help="See `dev ca`.")
def make_certificate(hosts: tuple[str, ...], out: Path, ca: Path | None) -> None:
    """Have the local authority vouch for HOSTS (by default for this machine)."""
    now = _now()
    Authority.load(_ca_folder(ca), now).vouch(hosts or LOCAL_HOSTS, out, now)
    click.echo(f"{out / CERTIFICATE} and {out / KEY} are for {', '.join(hosts or LOCAL_HOSTS)}")


@dev.command("issuer")
@click.option("--port", default=ISSUER_PORT, show_default=True, type=click.IntRange(1, 65535))
@click.option(
    "--audience",
    default=f"http://127.0.0.1:{PUBLIC_PORT}{MCP_PATH}",
    show_default=True,
    help="Whom tokens are for where nobody says it.",
)
def run_issuer(port: int, audience: str) -> None:
    """Run an OAuth issuer that gives a token to whoever asks, for tries on this machine.

    It knows dynamic registration, authorization codes with PKCE and client credentials. Its key is
    made anew each time, and nothing that matters may ever trust it.
    """
    with issuer_server.listen(port, audience, time.time) as server:
        url = f"http://{issuer_server.HOST}:{port}"
        say(f"the issuer is {url}; tokens are for {audience}")
        say(f"a token: curl -d client_id=alice -d scope=crm.read {url}/token")
        with contextlib.suppress(KeyboardInterrupt):
            server.serve_forever()


def _now() -> datetime:
    return datetime.now(UTC)  # noqa: TID251 - the command is where time comes in


def _passed_on() -> dict[str, str]:
    environment = os.environ  # noqa: TID251 - the command alone reads it
    return {name: environment[name] for name in PASSED_ON if name in environment}


def _ca_folder(chosen: Path | None) -> Path:
    return chosen or Path(click.get_app_dir("breakwater"))


def _certificate(ca: Path, folder: Path) -> dict[str, bytes]:
    now = _now()
    Authority.load(ca, now).vouch(LOCAL_HOSTS, folder, now)
    return {name: (folder / name).read_bytes() for name in (CERTIFICATE, KEY)}


def _free_port(wanted: int, taken: int) -> int:
    """Choose a port: the usual one, or another where that is taken."""
    with socket.socket() as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind(("127.0.0.1", 0 if wanted == taken else wanted))
        except OSError:
            trial.bind(("127.0.0.1", 0))
        port: int = trial.getsockname()[1]
        return port


def _collector() -> dict[str, Any]:
    """Say where traces go: to the collector that the terminal knows of, or nowhere."""
    endpoint = os.environ.get(COLLECTOR, "").strip()  # noqa: TID251 - the command alone reads it
    return {"monitoring": {"otlp": {"endpoint": endpoint} if endpoint else None}}
