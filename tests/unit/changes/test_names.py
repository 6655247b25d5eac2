from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from breakwater_runtime.servers.changes import names
from breakwater_runtime.servers.changes.errors import NotAcceptedError

if TYPE_CHECKING:
    from datetime import date

pytestmark = pytest.mark.requirement("T5", "T6")

HOSTILE = [
    "",
    ".",
    "..",
    "../../etc/passwd",
    "/etc/passwd",
    "add/login",
    "add\\login",
    "add-login\0",
    "add-login\n",
    "%2e%2e",
    "Add-login",
    "add_login",
    "add--login",
    "-add",
    "add-",
    "2026-add",
    "ａｄｄ",  # noqa: RUF001 - full-width letters are the point
    "аdd",  # noqa: RUF001 - a Cyrillic letter is the point
    "add\u200b",
    "add\u202elogin",
    "ad\u0301d",
    "٣dd",
    "\ud800",
    "archive",
    "con",
    "nul",
    "com1",
    "lpt9",
    "a" * 65,
    "a" * 10_000_000,
]


@pytest.mark.parametrize("value", HOSTILE, ids=lambda value: ascii(value[:20]))
def test_what_is_no_name_is_refused_in_a_short_message_that_says_what_is(value: str) -> None:
    with pytest.raises(NotAcceptedError) as refused:
        names.checked("changeId", value)

    message = str(refused.value)
    assert message.startswith("changeId: ")
    assert "lower-case letters" in message
    assert message.isascii()
    assert message.isprintable()
    assert len(message) < 700


@given(st.text(alphabet=st.characters(), max_size=80))
@example("add-login")
def test_only_plain_names_are_accepted(value: str) -> None:
    if names.is_name(value):
        assert re.fullmatch(r"[a-z0-9-]{1,64}", value, re.ASCII)
        assert value[0].isalpha()
        assert value not in names.RESERVED


@given(st.from_regex(names.NAME_PATTERN, fullmatch=True), st.dates())
def test_an_archived_folder_says_which_change_it_was(value: str, day: date) -> None:
    if names.is_name(value):
        assert names.change_archived_as(names.archived_as(value, day)) == value


@pytest.mark.parametrize("folder", ["add-login", "2026-11-21", "2026-11-21-", "2026-1-2-add"])
def test_other_folders_of_the_archive_are_no_changes(folder: str) -> None:
    assert names.change_archived_as(folder) is None
