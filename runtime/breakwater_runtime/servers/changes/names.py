"""The names of changes and capabilities: what is accepted becomes a folder's name unchanged."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from breakwater_runtime.servers.changes.errors import NotAcceptedError

if TYPE_CHECKING:
    from datetime import date

NAME_PATTERN = r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*"
"""Kebab case, as OpenSpec wants it. It begins with a letter, so `<date>-<name>` has one reading."""

NAME_LENGTH_MAX = 64
"""Longest name; with the archive's date in front it stays far below a file name's 255 bytes."""

ACCEPTED = (
    f"lower-case letters a-z, digits and single hyphens between them, beginning with a letter, "
    f"at most {NAME_LENGTH_MAX} characters (for example add-two-factor-auth)"
)

ARCHIVE = "archive"
"""The folder of archived changes; it lies among the changes, so no change can have its name."""

RESERVED = frozenset(
    {ARCHIVE, "con", "prn", "aux", "nul"}
    | {f"{device}{number}" for device in ("com", "lpt") for number in range(1, 10)}
)
"""Names refused although they fit: the archive, and devices where folders are copied to Windows."""

_NAME = re.compile(NAME_PATTERN, re.ASCII)
_ARCHIVED = re.compile(rf"(?P<day>\d{{4}}-\d{{2}}-\d{{2}})-(?P<name>{NAME_PATTERN})", re.ASCII)


def shown(value: str) -> str:
    """Quote a caller's text for a message: ASCII, on one line, and short whatever it was."""
    if len(value) <= NAME_LENGTH_MAX:
        return ascii(value)
    return f"{value[:NAME_LENGTH_MAX]!a}... ({len(value)} characters)"


def is_name(value: str) -> bool:
    """Say whether a change or a capability may have this name."""
    return (
        len(value) <= NAME_LENGTH_MAX
        and _NAME.fullmatch(value) is not None
        and value not in RESERVED
    )


def checked(argument: str, value: str) -> str:
    """Return the name of a change or capability.

    Args:
        argument: what the caller knows it as.
        value: what the caller sent.

    Raises:
        NotAcceptedError: It is not such a name.
    """
    if is_name(value):
        return value
    reserved = " and is reserved" if value in RESERVED else ""
    raise NotAcceptedError(
        f"{argument}: {shown(value)} is not accepted{reserved}; write {ACCEPTED}"
    )


def archived_as(change: str, day: date) -> str:
    """Return the name of a change's folder in the archive."""
    return f"{day.isoformat()}-{change}"


def change_archived_as(folder: str) -> str | None:
    """Return the change that lies in this folder of the archive, None for any other folder."""
    found = _ARCHIVED.fullmatch(folder)
    if found is None or not is_name(found["name"]):
        return None
    return found["name"]
