"""What every test may ask for."""

import pytest

pytest_plugins = ["tests.support.cluster", "tests.support.installation", "tests.support.life"]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let long proofs be tried in short."""
    parser.addoption(
        "--share",
        type=float,
        default=1.0,
        help="how much of the long proofs to run: 0.1 for a tenth of each",
    )


@pytest.fixture
def share(request: pytest.FixtureRequest) -> float:
    """Say how much of a long proof to run."""
    return float(request.config.getoption("--share"))
