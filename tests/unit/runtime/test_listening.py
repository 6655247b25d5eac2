"""The kernel's tables of sockets, and who may be in them."""

from collections.abc import Iterable
from pathlib import Path

import pytest

from breakwater_runtime.backends.container.listening import Listener, exposed, listeners

HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid\n"
REST = "00000000:00000000 00:00000000 00000000     0        0 1 1 0 100 0 0 10 0\n"


def _table(folder: Path, name: str, rows: Iterable[tuple[str, str]]) -> Path:
    path = folder / name
    lines = (
        f"{at:4}: {address} 00000000:0000 {state} {REST}"
        for at, (address, state) in enumerate(rows)
    )
    path.write_text(HEAD + "".join(lines))
    return path


def test_addresses_of_both_families_are_read(tmp_path: Path) -> None:
    old = [("0100007F:1F40", "0A"), ("00000000:0016", "0A"), ("0B01A8C0:1F90", "0A")]
    new = [
        ("00000000000000000000000001000000:1F40", "0A"),
        ("00000000000000000000000000000000:0050", "0A"),
        ("0000000000000000FFFF00000100007F:0051", "0A"),
    ]

    found = list(listeners([_table(tmp_path, "tcp", old), _table(tmp_path, "tcp6", new)]))

    assert [str(each) for each in found] == [
        *("127.0.0.1:8000", "0.0.0.0:22", "192.168.1.11:8080"),
        *("[::1]:8000", "[::]:80", "127.0.0.1:81"),
    ]
    assert [each.is_local for each in found] == [True, False, False, True, False, True]


def test_connections_are_not_read(tmp_path: Path) -> None:
    table = _table(tmp_path, "tcp", [("0100007F:1F40", "0A"), ("0100007F:1F40", "01")])
    with table.open("a") as text:
        text.write("a row that cannot be read\n")

    assert [each.port for each in listeners([table])] == [8000]


def test_without_a_table_nobody_listens(tmp_path: Path) -> None:
    assert list(listeners([tmp_path / "tcp6"])) == []


@pytest.mark.parametrize(
    ("ports", "known", "found"),
    [
        pytest.param(None, (), 9229, id="any-port"),
        pytest.param((8000,), (), None, id="only-its-own"),
        pytest.param(None, (9229,), None, id="known"),
    ],
)
def test_what_others_reach_is_found(
    ports: tuple[int, ...] | None, known: tuple[int, ...], found: int | None
) -> None:
    there = [Listener("127.0.0.1", 8000), Listener("0.0.0.0", 9229)]

    listener = exposed(there, ports, known)

    assert (listener and listener.port) == found
