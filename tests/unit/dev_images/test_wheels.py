"""What a lock means for the image, whatever machine builds it."""

from dev.images.target import ROOT
from dev.images.wheels import environment, platforms, wanted

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
