from pathlib import Path

import pytest

from dev.requirements import ROOT, TABLE, Mark, MarkError, main, marks, report, rows

TWO_ROWS = """
## A: transport
| id | what |
|---|---|
| A1 | Real clients use it |
| T12 | Objectives: p95 < 200 ms |
"""


def project(root: Path, test: str) -> Path:
    (root / TABLE).parent.mkdir(parents=True)
    (root / TABLE).write_text(TWO_ROWS)
    (root / "tests/unit").mkdir(parents=True)
    (root / "tests/unit/test_it.py").write_text(test)
    return root


def test_rows_are_read_by_id_in_their_order() -> None:
    assert rows(TWO_ROWS) == {"A1": "Real clients use it", "T12": "Objectives: p95 < 200 ms"}


def test_a_row_that_stands_there_twice_is_refused() -> None:
    with pytest.raises(MarkError, match="A1 stands there twice"):
        rows(TWO_ROWS + "| A1 | again |\n")


def test_the_table_of_this_project_can_be_read() -> None:
    known = rows((ROOT / TABLE).read_text("utf-8"))

    assert {"A1", "T23", "W8", "K9", "G7", "C4"} <= known.keys()


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        pytest.param(
            '@pytest.mark.requirement("A1", "T12")\ndef test_a(): ...',
            [("A1", "test_a"), ("T12", "test_a")],
            id="on-a-test",
        ),
        pytest.param(
            '@pytest.mark.requirement("A1")\nasync def test_a(): ...',
            [("A1", "test_a")],
            id="on-an-async-test",
        ),
        pytest.param(
            '@pytest.mark.requirement("A1")\nclass TestKeys:\n'
            '    @pytest.mark.requirement("T12")\n    def test_a(self): ...',
            [("A1", "TestKeys::test_a"), ("T12", "TestKeys::test_a")],
            id="on-a-class",
        ),
        pytest.param(
            '@pytest.mark.parametrize("x", [pytest.param(1, '
            'marks=pytest.mark.requirement("A1"))])\ndef test_a(x): ...',
            [("A1", "test_a")],
            id="on-a-parameter",
        ),
        pytest.param(
            'pytestmark = [pytest.mark.prove, pytest.mark.requirement("A1")]\ndef test_a(): ...',
            [("A1", "test_a")],
            id="on-a-module",
        ),
        pytest.param("def test_a(): ...", [], id="none"),
    ],
)
def test_marks_are_found_wherever_pytest_finds_them(
    source: str, expected: list[tuple[str, str]]
) -> None:
    found = marks(source, "tests/test_it.py")

    assert found == [Mark(each, f"tests/test_it.py::{test}") for each, test in expected]


def test_a_mark_that_is_not_a_literal_is_refused_with_its_place() -> None:
    with pytest.raises(MarkError, match=r"test_it\.py:1: .*requirement\(ID\): write the id"):
        marks("@pytest.mark.requirement(ID)\ndef test_a(): ...", "test_it.py")


def test_the_report_shows_each_row_with_its_tests_and_names_the_bare_ones() -> None:
    lines = report(rows(TWO_ROWS), [Mark("A1", "tests/test_it.py::test_a")]).splitlines()

    assert lines == [
        "A1   Real clients use it",
        "       tests/test_it.py::test_a",
        "T12  Objectives: p95 < 200 ms",
        "",
        "2 requirements, 1 with a test.",
        "Without one: T12",
    ]


def test_a_check_is_silent_when_every_mark_names_a_row(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = project(tmp_path, '@pytest.mark.requirement("A1")\ndef test_a(): ...')

    code = main(["--check"], root)

    assert (code, capsys.readouterr()) == (0, ("", ""))


def test_a_check_fails_on_an_id_that_no_row_has(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = project(tmp_path, '@pytest.mark.requirement("Z9")\ndef test_a(): ...')

    code = main(["--check"], root)

    assert code == 1
    assert "tests/unit/test_it.py::test_a: Z9 is not an id of" in capsys.readouterr().err


def test_printing_fails_too_on_an_unknown_id_but_prints_all(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = project(tmp_path, '@pytest.mark.requirement("Z9", "A1")\ndef test_a(): ...')

    code = main([], root)

    output = capsys.readouterr()
    assert (code, "Z9 is not an id" in output.err) == (1, True)
    assert "2 requirements, 1 with a test." in output.out
