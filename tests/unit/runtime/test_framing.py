import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from breakwater_runtime.calls import Problem, Refused
from breakwater_runtime.protocol import framing

scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(10**40), 10**40)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=20)
    | st.sampled_from(['a": 1', '"a":', '\\": {', '":"', "12345678901234567890"])
)
contents = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=20,
)


@given(contents, st.booleans())
def test_what_has_one_meaning_is_read_as_everybody_reads_it(content: Any, ascii_only: bool) -> None:
    body = json.dumps(content, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")

    try:
        read = framing.parse(body)
    except Refused:
        assert b"\xed" in body  # a lone surrogate is not UTF-8
        return

    assert read == json.loads(body)


@given(contents, contents, st.text(max_size=5), st.sampled_from(['{"x": %s}', "[%s]", "%s"]))
def test_a_member_that_stands_there_twice_is_refused(
    first: Any, second: Any, name: str, around: str
) -> None:
    name = name.encode("utf-8", "replace").decode()
    member = json.dumps(name)
    twice = f"{{{member}: {json.dumps(first)}, {member}: {json.dumps(second)}}}"

    with pytest.raises(Refused) as refused:
        framing.parse((around % twice).encode())

    assert refused.value.problem is Problem.MALFORMED


@pytest.mark.parametrize(
    ("body", "allowed"),
    [
        pytest.param(b"[" * 64 + b"]" * 64, True, id="deepest"),
        pytest.param(b"[" * 65 + b"]" * 65, False, id="deeper"),
        pytest.param(b'{"a":' * 65 + b"1" + b"}" * 65, False, id="objects"),
    ],
)
def test_nesting_has_a_bound(body: bytes, allowed: bool) -> None:
    if allowed:
        framing.parse(body)
        return
    with pytest.raises(Refused):
        framing.parse(body)


@pytest.mark.parametrize(
    ("value", "accepted"),
    [
        (1, True),
        (0, True),
        (-1, True),
        ("", True),
        ("a", True),
        (2**53 - 1, True),
        (2**53, False),
        (-(2**53), False),
        (1.0, False),
        (True, False),
        (None, False),
        ([], False),
    ],
)
def test_what_may_be_an_id(value: object, accepted: bool) -> None:
    assert framing.is_id(value) is accepted


@pytest.mark.parametrize("value", [2**70, "\ud800", [[]] * 3])
def test_what_orjson_cannot_write_is_written_all_the_same(value: object) -> None:
    assert json.loads(framing.dumps({"a": value})) == {"a": value}


MANY = framing.VALUES_MAX


@pytest.mark.requirement("T5")
@pytest.mark.parametrize(
    ("body", "allowed"),
    [
        pytest.param(b"[" + b",".join([b"1"] * (MANY - 1)) + b"]", True, id="as-many"),
        pytest.param(b"[" + b", ".join([b"1"] * (MANY + 1)) + b"]", False, id="one-more"),
        pytest.param(b"[" + b", ".join([b"[]"] * 1_000_000) + b"]", False, id="arrays"),
        pytest.param(b"[" + b",".join([b'"",""'] * MANY) + b"]", False, id="strings"),
        pytest.param(b'["' + b'\\",[{' * MANY + b'"]', True, id="text-that-looks-like-it"),
        pytest.param(b'["' + b"a, [b], {c}" * MANY + b'"]', True, id="text-with-commas"),
        pytest.param(b'["\\\\", ' + b"[], " * MANY + b"1]", False, id="behind-an-escape"),
        pytest.param(b'["\\\\\\"", ' + b"[], " * MANY + b"1]", False, id="behind-two-escapes"),
    ],
)
def test_a_body_may_have_so_many_values(body: bytes, allowed: bool) -> None:
    if allowed:
        assert framing.parse(body) == json.loads(body)
        return
    with pytest.raises(Refused) as refused:
        framing.parse(body)
    assert refused.value.problem is Problem.BODY_TOO_LARGE
    assert str(MANY) in refused.value.message
