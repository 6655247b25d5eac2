"""The base image's packages come from where this machine's own come from."""

import pytest

from dev.images.base import debian_sources

DEB822 = """\
Types: deb
# a remark
URIs: http://mirror.example/debian
Suites: trixie trixie-updates
Components: main

Types: deb
URIs: http://mirror.example/security
Suites: trixie-security
Components: main

Types: deb
URIs: https://vendor.example/apt
Suites: stable
"""

TURNED = [
    """\
Types: deb
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main
""",
    """\
Types: deb
URIs: http://mirror.example/security
Suites: bookworm-security
Components: main
""",
]

ONE_LINE = """\
deb [signed-by=/key] http://mirror.example/debian trixie main
deb https://vendor.example/apt cloud-trixie main
# deb http://mirror.example/debian trixie contrib
"""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(
            DEB822,
            TURNED,
            id="deb822",
        ),
        pytest.param(
            ONE_LINE,
            ["deb [signed-by=/key] http://mirror.example/debian bookworm main\n"],
            id="one-line",
        ),
    ],
)
def test_debian_s_own_sources_are_turned_to_the_release_of_the_images(
    text: str, expected: list[str]
) -> None:
    assert list(debian_sources([text], "trixie")) == expected


def test_another_system_s_sources_are_not_used() -> None:
    assert list(debian_sources([DEB822], None)) == []
