"""`breakwater`: the command line."""

import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click
import yaml

from breakwater_operator.api.errors import BreakwaterError
from breakwater_operator.api.platform import Platform
from breakwater_operator.cli import manifests
from breakwater_operator.cli.dev import EXIT_BAD_MANIFEST, lines
from breakwater_operator.cli.dev_commands import dev
from breakwater_operator.cli.platforms import DISTRIBUTION, EVERYTHING, platform_of
from breakwater_operator.cli.rendering import SECRET_BYTES, Rendering
from breakwater_operator.cli.terminal import FILES, SERVER, complain, say

NOT_SHOWN = "(not shown)"


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def breakwater() -> None:
    """Look at McpServers and try them, without a cluster."""


@breakwater.command("version")
def show_version() -> None:
    """Print the version."""
    click.echo(version(DISTRIBUTION))


@breakwater.command()
@FILES
@click.option(
    "--platform",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="The operator's configuration; by default one that allows and has everything.",
)
def validate(files: tuple[Path, ...], platform: Path | None) -> None:
    """Say what the API server and the operator would refuse in McpServers.

    FILES are what kubectl reads, YAML or JSON; - is the standard input. Secrets and claims that
    stand in them as well are looked at too.
    """
    found = manifests.read(files)
    chosen = platform_of(platform, **EVERYTHING)
    if not found.servers:
        found.server(None)
    failed = False
    for manifest in found.servers:
        name = found.label(manifest)
        try:
            _rendering(found, chosen).children(manifests.parse(manifest))
        except BreakwaterError as error:
            failed = True
            for line in lines(error):
                complain(f"{name}: {line}")
        else:
            click.echo(f"{name}: good")
    if failed:
        raise SystemExit(EXIT_BAD_MANIFEST)


@breakwater.command()
@FILES
@SERVER
@click.option(
    "--platform",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="The operator's configuration; by default one with nothing but defaults.",
)
def render(files: tuple[Path, ...], server: str | None, platform: Path | None) -> None:
    """Print the objects that the operator would make, as YAML.

    FILES are what kubectl reads, YAML or JSON; - is the standard input. What is secret is not
    shown, and stands for whatever the operator would make up.
    """
    found = manifests.read(files)
    chosen = manifests.parse(found.server(server))
    rendered = _rendering(found, platform_of(platform)).children(chosen)
    click.echo(
        yaml.safe_dump_all(map(_without_secrets, rendered), sort_keys=False, width=100), nl=False
    )


breakwater.add_command(dev)


def run(argv: Sequence[str] | None = None) -> int:
    """Run the command; return the exit code."""
    try:
        breakwater.main(argv, prog_name=Path(sys.argv[0]).name, standalone_mode=True)
    except BreakwaterError as error:
        for line in lines(error):
            say(line)
        return EXIT_BAD_MANIFEST
    except SystemExit as error:
        return error.code if isinstance(error.code, int) else 0


def _rendering(found: manifests.Manifests, platform: Platform) -> Rendering:
    # What is made of these is never shown.
    return Rendering(found, platform, bytes(SECRET_BYTES), bytes(SECRET_BYTES))


def _without_secrets(manifest: dict[str, Any]) -> dict[str, Any]:
    """Blank out what a Secret holds; what is left cannot be applied by mistake."""
    plain: dict[str, Any] = yaml.safe_load(yaml.safe_dump(manifest))
    if plain["kind"] != "Secret":
        return plain
    return {**plain, "data": dict.fromkeys(plain["data"], NOT_SHOWN)}
