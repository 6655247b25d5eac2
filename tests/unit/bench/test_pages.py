import pytest

from bench import pages
from bench.report import Bound, Report, Row, Table

REPORT = Report(
    title="Runtime",
    text="How it was done.",
    rows=[
        Row(
            "`echo`",
            15_512.3,
            "calls per CPU second",
            ratio=5.512,
            peer="MCPServer",
            bound=Bound(5, at_least=True, of_ratio=True),
        ),
        Row("p99", 61.04, "ms", bound=Bound(60, at_least=False)),
        Row("TLS", None, "KB", bound=Bound(70, at_least=False), note="not measured: no TLS"),
    ],
    tables=[Table("More", ["server", "on"], [["ours", "a | b\nc"]])],
    versions={"uvloop": "0.23.0", "mcp": "2.3.0"},
)


def _section() -> str:
    return pages.section(REPORT, date="2026-11-21", machine="2 cores")


def test_a_section_shows_figures_with_what_they_are_held_against() -> None:
    lines = _section().splitlines()

    assert "| `echo` | 15 512 calls per CPU second | 5.51 x MCPServer | >= 5 x | yes |" in lines
    assert "| p99 | 61 ms |  | <= 60 ms | **no** |" in lines
    assert "| TLS | not measured: no TLS |  | <= 70 KB |  |" in lines


def test_a_section_says_when_and_on_what_it_was_measured() -> None:
    assert "Measured on 2026-11-21: 2 cores. Versions: mcp 2.3.0, uvloop 0.23.0." in _section()


def test_what_is_in_a_cell_cannot_break_the_table() -> None:
    assert "| ours | a \\| b c |" in _section().splitlines()


def test_a_suite_replaces_its_own_section_and_leaves_the_others() -> None:
    page = pages.replace("", "runtime", "old\n")
    page = pages.replace(page, "cluster", "cluster\n")

    page = pages.replace(page, "runtime", "new \\1\n")

    assert page.startswith(pages.TITLE)
    assert "<!-- begin runtime -->\nnew \\1\n<!-- end runtime -->\n" in page
    assert "<!-- begin cluster -->\ncluster\n<!-- end cluster -->\n" in page
    assert "old" not in page


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (0.004321, "0.00432"),
        (5.0, "5"),
        (61.04, "61"),
        (99.96, "100"),
        (123.4, "123"),
        (1_234_567.8, "1 234 568"),
    ],
)
def test_numbers_have_the_digits_that_mean_something(value: float, text: str) -> None:
    assert pages.number(value) == text
