"""Policies: what they decide, how fast, and what they say."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter
from pydantic import ValidationError

from breakwater_contract.access import Access, Policy
from breakwater_contract.names import OPERATOR_PRINCIPAL
from breakwater_runtime.calls import Principal, Problem, Refused
from breakwater_runtime.observability.audit import Audit
from breakwater_runtime.tools.globs import Glob, Index
from breakwater_runtime.tools.policy import (
    DECISIONS_MAX,
    PRINCIPALS_MAX,
    Decision,
    Kind,
    Policies,
)
from breakwater_runtime.tools.policy_check import PolicyCheck

ALICE = Principal("alice")
READER = Principal("jwt:bob", frozenset({"openid", "crm.read"}))
WRITER = Principal("jwt:bob", frozenset({"crm.read", "crm.write"}))
GUEST = Principal("unauthenticated")


def policy(**members: Any) -> Policy:
    defaults = {"name": "rule", "effect": "Allow", "principals": ["*"], "tools": ["*"]}
    return Policy.model_validate({**defaults, **members})


RULES = Policies(
    [
        policy(name="staff", principals=["alice", "system:serviceaccount:ops:*"]),
        policy(name="readers", principals=["jwt:*"], scopes=["crm.read"], tools=["get_*"]),
        policy(name="writers", principals=["jwt:*"], scopes=["crm.read", "crm.write"]),
        policy(name="public", tools=["ping"], backends=["main"]),
        policy(name="docs", tools=[], resources=["docs://*"], prompts=["help"]),
        policy(name="no-deletes", effect="Deny", tools=["delete_*"]),
    ]
)


@pytest.mark.requirement("G2", "K1")
@pytest.mark.parametrize(
    ("who", "tool", "decision"),
    [
        pytest.param(ALICE, "anything", Decision(True, "staff"), id="allowed"),
        pytest.param(ALICE, "delete_all", Decision(False, "no-deletes"), id="deny-wins"),
        pytest.param(READER, "get_user", Decision(True, "readers"), id="scope"),
        pytest.param(WRITER, "set_user", Decision(True, "writers"), id="scopes"),
        pytest.param(
            READER,
            "set_user",
            Decision(False, "writers", ("crm.read", "crm.write")),
            id="scope-missing",
        ),
        pytest.param(
            Principal("jwt:eve"),
            "get_user",
            Decision(False, "readers", ("crm.read",)),
            id="nearest-rule",
        ),
        pytest.param(READER, "delete_all", Decision(False, "no-deletes"), id="no-scope-helps"),
        pytest.param(GUEST, "get_user", Decision(False), id="none-allows"),
        pytest.param(GUEST, "ping", Decision(True, "public"), id="wildcard-principal"),
        pytest.param(Principal("Alice"), "anything", Decision(False), id="letters-count"),
        pytest.param(
            Principal("system:serviceaccount:ops:bot"), "x", Decision(True, "staff"), id="prefix"
        ),
        pytest.param(
            Principal("system:serviceaccount:ops2:bot"), "x", Decision(False), id="not-the-prefix"
        ),
        pytest.param(Principal(OPERATOR_PRINCIPAL), "delete_all", Decision(True), id="operator"),
    ],
)
def test_the_rules_decide(who: Principal, tool: str, decision: Decision) -> None:
    for _ in range(2):  # made, then remembered
        assert RULES.decide(who, "main", tool) == decision


def test_a_rule_may_be_about_some_backends() -> None:
    assert not RULES.decide(GUEST, "other", "ping").allowed


@pytest.mark.parametrize(
    ("kind", "name", "allowed"),
    [
        (Kind.RESOURCE, "docs://a", True),
        (Kind.RESOURCE, "file:///etc", False),
        (Kind.PROMPT, "help", True),
        (Kind.PROMPT, "ping", False),
    ],
)
def test_with_any_policy_resources_and_prompts_need_one_too(
    kind: Kind, name: str, allowed: bool
) -> None:
    assert RULES.decide(GUEST, "main", name, kind).allowed is allowed


def test_without_policies_everything_is_allowed() -> None:
    assert Policies().decide(GUEST, "main", "delete_all").allowed


def test_what_a_scope_would_open_is_listed_and_what_is_denied_is_not() -> None:
    assert RULES.decide(READER, "main", "set_user").listed
    assert not RULES.decide(READER, "main", "delete_all").listed
    assert not RULES.decide(GUEST, "main", "get_user").listed


@pytest.mark.parametrize(
    ("pattern", "text", "fits"),
    [
        ("*", "", True),
        ("a*", "a", True),
        ("a*a", "a", False),
        ("a*a", "aa", True),
        ("*b*c", "abbc", True),
        ("*b*c", "cb", False),
        ("a**b", "ab", True),
        ("*ab*ab*", "ab", False),
        ("get_?", "get_x", False),
        ("[ab]", "a", False),
        ("a.b", "axb", False),
    ],
)
def test_a_star_stands_for_any_characters_and_nothing_else_is_special(
    pattern: str, text: str, fits: bool
) -> None:
    assert Glob(pattern).matches(text) is fits


@given(st.lists(st.text("ab", max_size=3), min_size=1, max_size=4), st.text("ab", max_size=3))
def test_a_pattern_matches_what_it_was_filled_to(parts: list[str], between: str) -> None:
    assert Glob("*".join(parts)).matches(between.join(parts))


def test_a_pattern_full_of_stars_comes_to_an_end() -> None:
    # With backtracking this would not end in anybody's life.
    assert not Glob("*a" * 60 + "b").matches("a" * 256)


@pytest.mark.requirement("G2")
def test_a_decision_is_made_once() -> None:
    policies = Policies([policy(name=f"r{n}", tools=[f"t{n}_*"]) for n in range(200)])

    first = policies.decide(READER, "main", "t199_x")

    assert policies.decide(READER, "main", "t199_x") is first


def test_what_is_remembered_is_bounded() -> None:
    policies = Policies([policy()])
    for n in range(PRINCIPALS_MAX + 10):
        policies.decide(Principal(f"p{n}"), "main", "x")
    for n in range(DECISIONS_MAX + 10):
        policies.decide(ALICE, "main", f"t{n}")

    assert len(policies._callers) == PRINCIPALS_MAX
    assert len(policies._callers[ALICE].decisions) == DECISIONS_MAX


@pytest.fixture
def events() -> Counter:
    return Counter("events", "Events.", ["event"], registry=CollectorRegistry())


@pytest.mark.requirement("G2", "T8")
@pytest.mark.parametrize(
    ("who", "tool", "problem", "message", "details", "event"),
    [
        pytest.param(
            ALICE,
            "delete_all",
            Problem.DENIED_BY_POLICY,
            "Policy no-deletes denies tool delete_all to alice.",
            {"rule": "no-deletes", "backend": "main", "tool": "delete_all"},
            "authorization.denied",
            id="denied",
        ),
        pytest.param(
            GUEST,
            "get_user",
            Problem.DENIED_BY_POLICY,
            "No policy allows tool get_user to unauthenticated.",
            {"rule": "", "backend": "main", "tool": "get_user"},
            "authorization.denied",
            id="not-allowed",
        ),
        pytest.param(
            READER,
            "set_user",
            Problem.INSUFFICIENT_SCOPE,
            "Policy writers wants a token with more scopes for tool set_user.",
            {
                "rule": "writers",
                "backend": "main",
                "tool": "set_user",
                "scopes": ["crm.read", "crm.write"],
            },
            "authorization.scope_missing",
            id="scope",
        ),
    ],
)
def test_a_refusal_names_the_rule_and_is_recorded(
    events: Counter,
    caplog: pytest.LogCaptureFixture,
    who: Principal,
    tool: str,
    problem: Problem,
    message: str,
    details: dict[str, Any],
    event: str,
) -> None:
    caplog.set_level("INFO", "breakwater")
    check = PolicyCheck(lambda: RULES, Audit(events))

    with pytest.raises(Refused) as refused:
        check.require(who, "main", tool)

    assert refused.value.problem is problem
    assert refused.value.message == message
    assert refused.value.details == details
    assert [vars(record)["event"] for record in caplog.records] == [event]
    assert events.labels(event)._value.get() == 1


def test_what_is_allowed_passes(events: Counter) -> None:
    check = PolicyCheck(lambda: RULES, Audit(events))

    check.require(ALICE, "main", "anything")

    assert check.lists(ALICE, "main", "anything")
    assert not check.lists(ALICE, "main", "delete_all")


@pytest.mark.requirement("W5")
@pytest.mark.parametrize(
    "members",
    [
        pytest.param({"principals": []}, id="nobody"),
        pytest.param({"tools": []}, id="nothing"),
        pytest.param({"effect": "Deny", "scopes": ["x"]}, id="deny-by-scope"),
        pytest.param({"effect": "deny"}, id="effect"),
        pytest.param({"name": "A name"}, id="name"),
    ],
)
def test_a_policy_that_could_be_misunderstood_is_refused(members: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        policy(**members)


def test_two_policies_cannot_have_one_name() -> None:
    with pytest.raises(ValidationError, match="two policies are called rule"):
        Access(policies=(policy(), policy()))


def thousands() -> Policies:
    """Make ten thousand rules, found in every way in which patterns are found."""
    shapes = ("tool_{}", "team{}_*", "*_part{}", "*mid{}*", "get_*")
    return Policies(
        [
            policy(
                name=f"rule-{number}",
                principals=[f"agent-{number % 500}", f"group-{number}-*"],
                tools=[shapes[number % len(shapes)].format(number)],
            )
            for number in range(10_000)
        ]
    )


@pytest.mark.requirement("G2")
def test_among_ten_thousand_rules_the_right_one_decides() -> None:
    rules = thousands()

    def who(number: int) -> Principal:
        return Principal(f"agent-{number % 500}")

    assert rules.decide(who(500), "main", "tool_500").rule == "rule-500"
    assert rules.decide(who(501), "main", "team501_x").rule == "rule-501"
    assert rules.decide(who(502), "main", "x_part502").rule == "rule-502"
    assert rules.decide(who(503), "main", "x_mid503_y").rule == "rule-503"
    assert rules.decide(who(4), "main", "get_x").rule == "rule-4"
    assert rules.decide(Principal("group-500-a"), "main", "tool_500").rule == "rule-500"
    assert not rules.decide(who(501), "main", "tool_500").allowed


@given(
    patterns=st.lists(st.text("ab*", min_size=1, max_size=6), max_size=12),
    text=st.text("ab", max_size=8),
)
def test_an_index_finds_what_its_patterns_match(patterns: list[str], text: str) -> None:
    found = Index(enumerate(patterns)).find(text)

    for number, pattern in enumerate(patterns):
        assert (number in found) == Glob(pattern).matches(text)
    assert len(Index(enumerate(patterns)).find(text).shared_with(found)) == sum(
        number in found for number in range(len(patterns))
    )
