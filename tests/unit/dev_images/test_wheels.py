"""What a lock means for the image, whatever machine builds it."""

import zipfile
from pathlib import Path

import pytest

from dev.images.target import ROOT
from dev.images.wheels import environment, own, platforms, wanted

LOCK = """\
cffi==2.1.1 ; platform_python_implementation != 'PyPy' \\
    --hash=sha256:aa \\
    --hash=sha256:bb
kopf[dev]==1.45.2 \\
    --hash=sha256:cc
pywin32==312 ; sys_platform == 'win32' \\
    --hash=sha256:dd
tomli==2.0 ; python_full_version < '3.11' \\
    --hash=sha256:ee
"""


def test_only_what_the_image_needs_is_wanted_with_all_its_hashes() -> None:
    entries = list(wanted(LOCK, environment()))

    assert entries == [
        "cffi==2.1.1 --hash=sha256:aa --hash=sha256:bb",
        "kopf==1.45.2 --hash=sha256:cc",
    ]


def test_every_entry_of_our_own_locks_has_a_hash() -> None:
    for name in ("operator", "runtime"):
        entries = list(wanted((ROOT / f"requirements/{name}.txt").read_text(), environment()))

        assert entries
        assert all("==" in entry and "--hash=sha256:" in entry for entry in entries)


def test_no_wheel_is_wanted_that_is_too_new_for_the_image_s_libc() -> None:
    best, *others = platforms()

    assert best.startswith("manylinux_2_36_")
    assert all("manylinux" in other and "_2_37_" not in other for other in others)


@pytest.mark.parametrize("is_compiled", [False, True])
def test_a_wheel_has_what_was_compiled_and_says_what_it_fits(
    tmp_path: Path, *, is_compiled: bool
) -> None:
    libraries = tmp_path / "compiled"
    for name in ("shared.so", "breakwater_runtime/http/port.so"):
        (libraries / name).parent.mkdir(parents=True, exist_ok=True)
        (libraries / name).write_bytes(b"ELF")

    wheel = own(tmp_path, libraries if is_compiled else None)
    names = zipfile.ZipFile(wheel).namelist()

    assert "breakwater_runtime/http/port.py" in names
    assert ("shared.so" in names) == ("breakwater_runtime/http/port.so" in names) == is_compiled
    assert wheel.stem.endswith("-py3-none-any") != is_compiled
