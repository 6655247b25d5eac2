"""What several commands of `breakwater` take and say."""

from pathlib import Path

import click

FILES = click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))


def say(line: str) -> None:
    """Say something beside the output."""
    click.echo(f"breakwater: {line}", err=True)
