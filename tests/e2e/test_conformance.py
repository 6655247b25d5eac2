"""The official conformance suite against the runtime, and against the SDK's own server.

How to run the suite by hand is in `docs/reference/conformance.md`.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
import yaml

from tests.support import children
from tests.support.conformance import fronts, suite
from tests.support.keyproxy import KeyProxy

EXPECTED = Path(__file__).with_name("conformance-expected.yml")
REFERENCE = fronts.ROOT / "docs" / "reference" / "conformance.md"

Failing = Mapping[str, list[str]]


@pytest.fixture(scope="module")
def oracle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[fronts.Front]:
    with fronts.oracle(tmp_path_factory.mktemp("oracle")) as front:
        yield front


@pytest.mark.parametrize("revision", suite.REVISIONS)
async def test_the_runtime_fails_exactly_the_checks_that_are_known_gaps(
    fixture_runtime: fronts.Front, revision: str
) -> None:
    front = fixture_runtime
    # The suite sends the origin that it calls, which the runtime is told to allow.
    proxy = KeyProxy("127.0.0.1", front.port, front.key, own_port=front.page_port)

    async with proxy.serving() as origin:
        report = await suite.run(f"{origin}/mcp", revision)

    differences = _differences(_known_gaps(revision), report.failing)
    assert not differences, f"see {EXPECTED.name}:\n" + "\n".join(differences)


@pytest.fixture(scope="module")
def over_stdio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[fronts.Front]:
    folder = tmp_path_factory.mktemp("stdio")
    with children.helper(folder, children.python("tests.support.conformance", "--stdio")) as helper:
        container = {"stdio": {"socket": str(helper.socket)}}
        with fronts.runtime(folder, {"container": container}) as front:
            yield front


@pytest.fixture(scope="module")
def over_http(tmp_path_factory: pytest.TempPathFactory) -> Iterator[fronts.Front]:
    with fronts.oracle(tmp_path_factory.mktemp("container")) as server:
        container = {"http": {"port": server.port}}
        with fronts.runtime(tmp_path_factory.mktemp("http"), {"container": container}) as front:
            yield front


@pytest.mark.requirement("A5")
@pytest.mark.parametrize("transport", ["over_stdio", "over_http"])
@pytest.mark.parametrize("revision", suite.REVISIONS)
async def test_the_runtime_passes_every_scored_scenario_in_front_of_a_container(
    request: pytest.FixtureRequest, transport: str, revision: str
) -> None:
    front: fronts.Front = request.getfixturevalue(transport)
    proxy = KeyProxy("127.0.0.1", front.port, front.key, own_port=front.page_port)

    async with proxy.serving() as origin:
        report = await suite.run(f"{origin}/mcp", revision)

    assert not report.failing.keys() & suite.requirements(revision).scored


@pytest.mark.parametrize("revision", suite.REVISIONS)
async def test_the_fixture_has_what_every_scored_scenario_asks_for(
    oracle: fronts.Front, revision: str
) -> None:
    report = await suite.run(oracle.url, revision)

    assert not report.failing.keys() & suite.requirements(revision).scored


@pytest.mark.parametrize(
    ("failing", "said"),
    [
        pytest.param({"a": ["one"], "b": ["two"]}, [], id="as-written"),
        pytest.param({"a": ["one"]}, ["b: two passes now; take it off the list"], id="passes"),
        pytest.param(
            {"a": ["one", "more"], "b": ["two"]}, ["a: more fails, and is not on it"], id="fails"
        ),
    ],
)
def test_a_difference_from_the_known_gaps_is_said_in_both_directions(
    failing: Failing, said: list[str]
) -> None:
    assert _differences({"a": ["one"], "b": ["two"]}, failing) == said


@pytest.mark.parametrize("revision", suite.REVISIONS)
def test_every_known_gap_is_a_scenario_of_its_revision_and_has_a_reason(revision: str) -> None:
    groups = yaml.safe_load(EXPECTED.read_text())[revision]
    wanted = suite.requirements(revision)

    assert all(group["reason"] for group in groups)
    assert _known_gaps(revision).keys() <= wanted.scored | wanted.others
    assert len(_known_gaps(revision)) == sum(len(group["failing"]) for group in groups)


def test_the_reference_says_how_many_scored_scenarios_pass() -> None:
    passing = []
    for revision in suite.REVISIONS:
        scored = suite.requirements(revision).scored
        passing.append(f"{len(scored - _known_gaps(revision).keys())} of {len(scored)}")

    assert f"| the runtime | {' | '.join(passing)} |" in REFERENCE.read_text()


def _known_gaps(revision: str) -> dict[str, list[str]]:
    groups = yaml.safe_load(EXPECTED.read_text())[revision]
    return {name: checks for group in groups for name, checks in group["failing"].items()}


def _differences(expected: Failing, failing: Failing) -> list[str]:
    before, now = _pairs(expected), _pairs(failing)
    passes = [f"{name}: {check} passes now; take it off the list" for name, check in before - now]
    fails = [f"{name}: {check} fails, and is not on it" for name, check in now - before]
    return sorted(passes + fails)


def _pairs(failing: Failing) -> set[tuple[str, str]]:
    return {(name, check) for name, checks in failing.items() for check in checks}
