"""The reference page of `breakwater`, from the commands themselves."""

from collections.abc import Iterator

import click

from breakwater_operator.cli.main import breakwater
from dev.environment import NOTE

HEAD = """\
# The command `breakwater`

It looks at McpServers and runs them without a cluster. It comes with the extra `cli` of the
package, and `breakwater dev` with the extra `runtime` as well: `pip install
"mcp-breakwater[cli,runtime]"`. The same command is `kubectl breakwater` where kubectl finds
`kubectl-breakwater`.

Exit codes: 0 where all is well, 2 where a manifest or the command line is to be corrected, 1
otherwise.

What `breakwater dev` says goes to the standard error output, each line after `breakwater: `;
the other lines there are the runtime's log.
"""

WIDTH = 96


def cli_page() -> str:
    """Write the page."""
    return "\n".join([NOTE, HEAD, *_command(breakwater, None, "breakwater")])


def _command(command: click.Command, parent: click.Context | None, name: str) -> Iterator[str]:
    context = click.Context(
        command,
        parent=parent,
        info_name=name,
        terminal_width=WIDTH,
        max_content_width=WIDTH,
        **command.context_settings,
    )
    yield f"## `{context.command_path}`"
    yield ""
    yield "```text"
    yield command.get_help(context)
    yield "```"
    yield ""
    if isinstance(command, click.Group):
        for name_below, below in command.commands.items():
            yield from _command(below, context, name_below)
