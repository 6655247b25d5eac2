from breakwater_contract.model import Model
from breakwater_contract.words import words


class Base(Model):
    """A base."""

    inherited: str = ""
    """From the base."""
    replaced: str = ""
    """As the base says."""


class Described(Base):
    """What is described."""

    replaced: str = ""
    """As it says itself,
    in two lines."""
    silent: str = ""
    last: Base | None = None
    """A model of its own."""


def test_fields_are_described_by_their_docstrings_and_those_of_bases() -> None:
    assert words(Described) == {
        "inherited": "From the base.",
        "replaced": "As it says itself,\nin two lines.",
        "last": "A model of its own.",
    }


def test_a_schema_says_what_the_docstrings_say() -> None:
    fields = Described.model_json_schema()["properties"]

    assert fields["inherited"]["description"] == "From the base."
    assert fields["last"]["description"] == "A model of its own."
    assert "description" not in fields["silent"]
