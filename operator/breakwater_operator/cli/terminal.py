"""What several commands of `breakwater` take and say."""

from pathlib import Path

import click

FILES = click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
SERVER = click.option(
    "--server",
    metavar="NAME",
    help="Which McpServer, where there are several: its name, or namespace/name.",
)


def say(line: str) -> None:
    """Say something beside the output."""
    complain(f"breakwater: {line}")


def complain(line: str) -> None:
    """Write a line beside the output, and nothing in it that a terminal would obey."""
    shown = (each if each.isprintable() else ascii(each)[1:-1] for each in line)
    click.echo("".join(shown), err=True)
